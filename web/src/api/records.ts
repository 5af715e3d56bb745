/** What was done, what is in force, what the clusters did of late. */
import { get } from "./client";
import type { Activity, ApprovalRules, Audit, DiaryEntry, Int, Recipes, TimelineEvent } from "./types";

export interface AuditFilter {
  operation?: number;
  who?: string;
  action?: string;
  from?: string;
  to?: string;
  before?: Int;
  limit?: number;
}

export const getTimeline = (id: number, signal?: AbortSignal) =>
  get<{ items: TimelineEvent[] }>(`/operations/${id}/timeline`, {}, signal);

/** `minutes`: 1 … 60. Fetch the hour once, and a minute now and then. */
export const getActivity = (minutes = 60, signal?: AbortSignal) => get<Activity>("/activity", { minutes }, signal);

export const getApprovalRules = (signal?: AbortSignal) => get<ApprovalRules>("/approval", {}, signal);
export const getRecipes = (signal?: AbortSignal) => get<Recipes>("/recipes", {}, signal);
export const getAudit = (filter: AuditFilter, signal?: AbortSignal) => get<Audit>("/audit", { ...filter }, signal);
export const getDiary = (limit = 50, signal?: AbortSignal) => get<DiaryEntry[]>("/diary", { limit }, signal);
