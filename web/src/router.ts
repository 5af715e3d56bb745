/** Which address shows which page. Pages are loaded when they are asked for; who has not logged in is sent to do so. */
import { createRouter, createWebHistory, type RouteLocationNormalized } from "vue-router";
import { watch } from "vue";

import { ApiError, UnreachableError } from "./api/errors";
import { loadSession, useSession } from "./api/session";
import type { Role } from "./api/types";
import { translate } from "./i18n";
import { pauseMs } from "./live/backoff";
import { tellError } from "./shell/tell";

declare module "vue-router" {
  interface RouteMeta {
    /** of the page's name in the browser's tab */
    title?: string;
    /** shown without a session */
    open?: boolean;
    /** the least role that the page is for */
    role?: Role;
  }
}

/** One per address that begins with /console/admin/. What concerns all clusters, see pages/admin/access.ts. */
export const ADMIN_PAGES = ["users", "tokens", "definitions", "recipes", "approval", "audit"] as const;

export const router = createRouter({
  history: createWebHistory("/"),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: "/console", redirect: { name: "overview" } },
    { path: "/", name: "overview", component: () => import("./pages/OverviewPage.vue"), meta: { title: "overview.title" } },
    {
      path: "/console/new",
      name: "new",
      component: () => import("./pages/NewOperationPage.vue"),
      meta: { title: "newOperation.title", role: "operator" },
    },
    {
      path: "/console/operations",
      name: "history",
      component: () => import("./pages/HistoryPage.vue"),
      meta: { title: "history.title" },
    },
    {
      path: "/console/operations/:id(\\d+)",
      name: "operation",
      component: () => import("./pages/OperationPage.vue"),
      props: true,
      meta: { title: "operation.title" },
    },
    {
      path: "/console/clusters",
      name: "clusters",
      component: () => import("./pages/ClustersPage.vue"),
      meta: { title: "clusters.title" },
    },
    {
      path: "/console/admin",
      name: "admin",
      component: () => import("./pages/admin/AdminPage.vue"),
      redirect: { name: "users" },
      meta: { role: "admin" },
      children: [
        { path: "users", name: "users", component: () => import("./pages/admin/UsersPage.vue"), meta: { title: "admin.users.title" } },
        { path: "tokens", name: "tokens", component: () => import("./pages/admin/TokensPage.vue"), meta: { title: "admin.tokens.title" } },
        { path: "definitions", name: "definitions", component: () => import("./pages/admin/DefinitionsPage.vue"), meta: { title: "admin.definitions.title", role: "viewer" } },
        { path: "recipes", name: "recipes", component: () => import("./pages/admin/RecipesPage.vue"), meta: { title: "admin.recipes.title", role: "viewer" } },
        { path: "approval", name: "approval", component: () => import("./pages/admin/ApprovalPage.vue"), meta: { title: "admin.approval.title", role: "viewer" } },
        { path: "audit", name: "audit", component: () => import("./pages/admin/AuditPage.vue"), meta: { title: "admin.audit.title" } },
      ],
    },
    {
      path: "/console/login",
      name: "login",
      component: () => import("./pages/LogInPage.vue"),
      meta: { title: "logIn.title", open: true },
    },
    {
      path: "/console/enter",
      name: "enter",
      component: () => import("./pages/EnterPage.vue"),
      meta: { title: "logIn.enter", open: true },
    },
    {
      path: "/:rest(.*)*",
      name: "nowhere",
      component: () => import("./pages/NowherePage.vue"),
      meta: { title: "shell.notFound", open: true },
    },
  ],
});

const { session } = useSession();

router.beforeEach(async (to) => {
  if (to.meta.open === true || session.value !== null) return true;
  try {
    return (await loadSession()) === null ? logInThenBackTo(to) : true;
  } catch (error) {
    // whether somebody is logged in shows when the server is back; until then the page itself says what is wrong
    if (!isAway(error)) throw error;
    void askUntilKnown();
    return true;
  }
});

/** The server, or the ledger that it knows sessions by, is on its way back. */
const isAway = (error: unknown) => error instanceof UnreachableError || (error instanceof ApiError && error.status >= 500);
let asking = false;

async function askUntilKnown(): Promise<void> {
  if (asking) return;
  asking = true;
  for (let attempt = 0; session.value === null; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs(attempt, Math.random())));
    try {
      if ((await loadSession()) === null) {
        leaveWithoutSession();
        break;
      }
    } catch {
      // still away
    }
  }
  asking = false;
}

/** A page's file that is not there any more: eomd was updated since this was loaded. Loading anew brings the present one. */
router.onError(async (error, to) => {
  const served = await fetch(to.fullPath, { method: "HEAD", cache: "no-store" }).then((answer) => answer.ok, () => false);
  if (served && isMissingFile(error)) location.assign(to.fullPath);
  else tellError(served ? error : new UnreachableError());
});

const isMissingFile = (error: unknown) => error instanceof TypeError && /import|module|preload/i.test(error.message);

export function titleOf(route: RouteLocationNormalized): string {
  return route.meta.title === undefined ? "" : translate(route.meta.title, route.params);
}

function logInThenBackTo(route: RouteLocationNormalized) {
  return { name: "login", query: route.fullPath === "/" ? {} : { back: route.fullPath } };
}

/** Where to go after the log-in: an address of this page alone, whatever somebody has written into the link. */
export function wayBack(back: unknown): string {
  if (typeof back !== "string" || !/^\/(?![/\\])/.test(back)) return "/";
  return router.resolve(back).meta.open === true ? "/" : back;
}

/** Sends whoever is on a page to the log-in when their session ends. */
export function watchSession(): void {
  watch(session, (now) => now === null && leaveWithoutSession());
}

function leaveWithoutSession(): void {
  const here = router.currentRoute.value;
  if (here.meta.open !== true) void router.push(logInThenBackTo(here));
}
