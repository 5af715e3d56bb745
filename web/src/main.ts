/** Begins: language and theme first, so that nothing is shown twice. */
import { createApp } from "vue";

import App from "./App.vue";
import { applyLanguage, i18n } from "./i18n";
import { router, watchSession } from "./router";
import { applyTheme } from "./shell/theme";
import "element-plus/theme-chalk/base.css";
import "element-plus/theme-chalk/dark/css-vars.css";
import "./styles/colours.css";
import "./styles/page.css";

applyTheme();
await applyLanguage();
watchSession();
createApp(App).use(i18n).use(router).mount("#app");
