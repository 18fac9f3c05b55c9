// Bundles the command line into one file, so that it starts fast and needs no packages beside it, and puts the small program that
// starts it there (scripts/start.cjs). CommonJS, since Node loads it faster than a module and keeps its compiled code.
import { build } from "esbuild";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist/`;
mkdirSync(dist, { recursive: true });

// Whoever starts the tool in this moment finds the old file or the new one, never a half.
const place = (unfinished, name) => renameSync(dist + unfinished, dist + name);
const unfinished = `unfinished.${process.pid}.cjs`;

// The layouts stay data: half a megabyte that only reading objects needs is parsed when that begins, not with the program text.
const layouts = {
  name: "layouts",
  setup({ onLoad }) {
    onLoad({ filter: /cpython\/layouts\.json$/ }, ({ path }) => {
      writeFileSync(dist + unfinished, JSON.stringify(JSON.parse(readFileSync(path, "utf8"))));
      place(unfinished, "layouts.json");
      const contents = `import { readFileSync } from "node:fs";
export default JSON.parse(readFileSync(new URL("layouts.json", bundleUrl), "utf8"));`;
      return { contents, loader: "js" };
    });
  },
};

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
  plugins: [layouts],
  define: { "import.meta.url": "bundleUrl" },
});
place(unfinished, "bundle.cjs");
copyFileSync(`${root}scripts/start.cjs`, dist + unfinished);
chmodSync(dist + unfinished, 0o755);
place(unfinished, "tidegauge.cjs");
for (const name of readdirSync(dist)) if (name.endsWith(".cache")) rmSync(dist + name, { force: true });
