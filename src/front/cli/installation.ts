/** Where this installation has its parts, and what it was started with. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import packageJson from "../../../package.json" with { type: "json" };

/** The folder above `dist/`, where the bundle lies; running from source, the folder above `src/`. */
function findRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return here.endsWith(join("src", "front", "cli")) ? join(here, "../../..") : dirname(here);
}

const root = findRoot();

function part(name: string): string | undefined {
  const path = join(root, "build", name);
  return existsSync(path) ? path : undefined;
}

export const installation = {
  root,
  version: packageJson.version,
  /** What `tidegauge-launch before` noted; undefined when Node was started directly. */
  inherited: undefined as string | undefined,
  /** Files that are built; undefined: not there. */
  get agent(): string | undefined {
    return part("libtidegauge-agent.so");
  },
  get launcher(): string | undefined {
    return part("tidegauge-launch");
  },
};
