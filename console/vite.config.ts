import { defineConfig } from "vite";

export default defineConfig({
  base: "/console/",
  build: {
    target: "es2022",
    // A new folder each time.
    emptyOutDir: false,
    // What is small enough would become a data: URI, which the page's policy forbids.
    assetsInlineLimit: 0,
    // Every browser that reads es2022 preloads modules by itself.
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
  },
});
