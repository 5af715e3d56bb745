/// <reference types="vitest/config" />
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import vue from "@vitejs/plugin-vue";
import Components from "unplugin-vue-components/vite";
import { ElementPlusResolver } from "unplugin-vue-components/resolvers";
import { defineConfig, type Plugin } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Puts NAME.gz beside each built file: the server compresses nothing itself. */
function precompress(): Plugin {
  let built: string;
  return {
    name: "precompress",
    apply: "build",
    configResolved(config) {
      built = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(built, { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) {
          const path = join(entry.parentPath, entry.name);
          writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        }
      }
    },
  };
}

export default defineConfig(({ command }) => ({
  root: here,
  // in the making pages stand at the root, as their addresses do; built files all lie under /console/
  base: command === "build" ? "/console/" : "/",
  plugins: [
    vue(),
    Components({ dirs: [], dts: false, resolvers: [ElementPlusResolver({ importStyle: "css" })] }),
    precompress(),
  ],
  define: { __VUE_OPTIONS_API__: true, __VUE_PROD_DEVTOOLS__: false, __VUE_I18N_LEGACY_API__: false },
  build: {
    // scripts/build-console builds elsewhere and puts it in place as a whole
    outDir: "../eomd/console",
    emptyOutDir: true,
    // never inlined: the policy lets in no data: address but for pictures
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: {
    port: 5173,
    proxy: { "/api/v1": { target: process.env.EOMD_URL ?? "http://127.0.0.1:8600" } },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
}));
