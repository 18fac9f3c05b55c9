// Bundles the command line into one file, so that it starts fast and needs no packages beside it, and puts the small program that
// starts it there (scripts/start.cjs). CommonJS, since Node loads it faster than a module and keeps its compiled code.
import { build } from "esbuild";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist/`;
mkdirSync(dist, { recursive: true });

// Whoever starts the tool in this moment finds the old file or the new one, never a half.
const place = (unfinished, name) => renameSync(dist + unfinished, dist + name);
const unfinished = `unfinished.${process.pid}.cjs`;

await build({
  absWorkingDir: root,
  entryPoints: ["src/front/cli/main.ts"],
  outfile: dist + unfinished,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
  // scripts/start.cjs passes it.
  define: { "import.meta.url": "bundleUrl" },
});
place(unfinished, "bundle.cjs");
copyFileSync(`${root}scripts/start.cjs`, dist + unfinished);
chmodSync(dist + unfinished, 0o755);
place(unfinished, "tidegauge.cjs");
for (const name of readdirSync(dist)) if (name.endsWith(".cache")) rmSync(dist + name, { force: true });
