/** What is looked at and set up: clusters, definitions, incidents, health, people, tokens. */
import { get, patch, post, put, remove } from "./client";
import type {
  Cluster, Definitions, Grants, Health, Incident, Int, NewToken, Page, Role, Token, User,
} from "./types";

export const listClusters = () => get<Cluster[]>("/clusters");
export const changeCluster = (name: string, change: { rows_per_s?: number; drain?: boolean }) =>
  patch<Cluster>(`/clusters/${encodeURIComponent(name)}`, change);

export const getDefinitions = () => get<Definitions>("/nosdata");
export const putDefinitions = (definitions: Definitions) => put<Definitions>("/nosdata", definitions);

export const getHealth = () => get<Health>("/health");
export const listIncidents = (filter: { open?: 0 | 1; kind?: string; page?: number; page_size?: number }) =>
  get<Page<Incident>>("/incidents", filter);

export interface UserFields extends Partial<Grants> {
  operatorname?: string;
  role?: Role;
  password?: string;
}

export const listUsers = () => get<User[]>("/users");
export const addUser = (
  user: UserFields & { name: string; operatorid: Int; operatorname: string; role: Role; password: string },
) => post<User>("/users", user);
export const changeUser = (name: string, change: UserFields & { disabled?: boolean; locked?: false }) =>
  patch<User>(`/users/${encodeURIComponent(name)}`, change);

export const listTokens = () => get<Token[]>("/tokens");
export const addToken = (
  token: { name: string; role: Role; expires_days?: number; operatorid?: Int; operatorname?: string } & Partial<Grants>,
) => post<NewToken>("/tokens", token);
export const revokeToken = (id: string) => remove<Token>(`/tokens/${encodeURIComponent(id)}`);
