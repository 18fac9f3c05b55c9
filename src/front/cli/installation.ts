/** Where this installation has its parts, and what it was started with. */
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, symlinkSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "../../base/checksum.ts";
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
  /** How the user called it, for the commands that answers propose. */
  called: "tidegauge",
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

/** What separates two libraries in LD_PRELOAD, and cannot be quoted there. */
const SEPARATORS = /[\s:]/;

/**
 * The agent by a path that LD_PRELOAD can hold: where the installation lies in a folder with a space or a colon, through a link in the
 * user's cache, which stays there for programs that outlive the run. undefined: there is no agent.
 */
export function loadableAgent(): string | undefined {
  const { agent } = installation;
  if (agent === undefined || !SEPARATORS.test(agent)) return agent;
  const name = `agent-${crc32(new TextEncoder().encode(agent)).toString(16)}.so`;
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tidegauge");
  try {
    if (SEPARATORS.test(cache)) throw new Error("no better than the agent's own path");
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    return linkAt(join(cache, name), agent);
  } catch {
    return linkAt(join(mkdtempSync(join(tmpdir(), "tidegauge-")), name), agent);
  }
}

function linkAt(link: string, agent: string): string {
  if (!existsSync(link) || readlinkSync(link) !== agent) symlinkSync(agent, link);
  return link;
}
