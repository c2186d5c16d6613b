import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

/** Writes down what was built, so that a test without Node sees whether the sources have moved on since. */
function digest(): Plugin {
  return {
    name: "digest",
    closeBundle() {
      const files = readdirSync("src", { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => `${entry.parentPath}/${entry.name}`.replaceAll("\\", "/"));
      const all = [...files, "index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"].sort();
      const hash = createHash("sha256");
      for (const file of all) hash.update(`${file}\0`).update(readFileSync(file)).update("\0");
      writeFileSync("built-from.sha256", `${hash.digest("hex")}\n`);
    },
  };
}

// What is built here is committed: no timestamps, no absolute paths, names by content, so that a rebuild is the same.
export default defineConfig({
  base: "/dashboard/",
  publicDir: false,
  plugins: [digest()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/headgate/dashboard/static",
    emptyOutDir: true,
    target: ["chrome125", "firefox128", "safari18"],
    cssTarget: ["chrome125", "firefox128", "safari18"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    rolldownOptions: {
      output: {
        codeSplitting: { groups: [{ name: "vendor", test: /node_modules/ }] },
      },
    },
  },
  server: { proxy: { "/admin": "http://127.0.0.1:8080" } },
});
