// Bundles the command line into one file, so that it starts fast and needs no packages beside it.
import { build } from "esbuild";
import { renameSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const file = `${root}dist/tidegauge.mjs`;
const unfinished = `${root}dist/tidegauge.${process.pid}.mjs`;

await build({
  absWorkingDir: root,
  entryPoints: ["src/front/cli/main.ts"],
  outfile: unfinished,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
  // commander is CommonJS and asks for Node's own modules by `require`.
  banner: {
    js: '#!/usr/bin/env node\nimport { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
});
// Whoever starts the tool in this moment finds the old bundle or the new one, never a half.
renameSync(unfinished, file);
