/** The tree of stacks of a run, and the tables of its codes, frames, stacks and sites. Nothing here recurses: stacks are thousands of frames deep. */

import { NONE } from "../../base/brand.ts";
import { growable } from "../../base/grow.ts";
import { PairIndex } from "../../base/pairs.ts";
import type { Table } from "../../tide/schema.ts";
import { asTable } from "../../tide/writer.ts";
import type { Program } from "./program.ts";

export class StackTree {
  private readonly stacks = new PairIndex();
  private readonly depths = growable(Uint32Array);
  private readonly sites = growable(Uint32Array);
  /** Site of the innermost frame in the user's own files, NONE: there is none so far. */
  private readonly usersSites = growable(Uint32Array);

  /** The stack of `frame` below `parent` (NONE: outermost). `site` is the frame's own; isUsers: the frame is in the user's own files. */
  add(parent: number, frame: number, site: number, isUsers: boolean): number {
    const stack = this.stacks.add(parent, frame);
    if (stack < this.depths.length) return stack;
    const usersSite = isUsers ? site : parent === NONE ? NONE : this.usersSites.at(parent);
    this.usersSites.push(usersSite);
    this.sites.push(usersSite === NONE ? site : usersSite);
    this.depths.push(parent === NONE ? 1 : this.depths.at(parent) + 1);
    return stack;
  }

  finish(): Pick<Program, "stackParent" | "stackFrame" | "stackDepth" | "stackSite"> {
    const { first, second } = this.stacks.finish();
    return { stackParent: first, stackFrame: second, stackDepth: this.depths.finish(), stackSite: this.sites.finish() };
  }
}

/** What the sites table holds beyond the program itself; index = SiteIndex, as in the schema. */
export interface SiteDetails {
  source: readonly string[];
  innerFrame: Uint32Array;
  heaviestStack: Uint32Array;
}

/** The tables `codes`, `frames`, `stacks` and `sites` of a recording. */
export function programTables(
  program: Program,
  details: SiteDetails,
): { codes: Table<"codes">; frames: Table<"frames">; stacks: Table<"stacks">; sites: Table<"sites"> } {
  return {
    codes: asTable<"codes">(program.codeName.length, [
      ["name", program.codeName],
      ["qualname", program.codeQualname],
      ["file", program.codeFile],
      ["firstLine", program.codeFirstLine],
      ["owner", program.codeOwner],
      ["package", program.codePackage],
    ]),
    frames: asTable<"frames">(program.frameCode.length, [
      ["code", program.frameCode],
      ["line", program.frameLine],
      ["offset", program.frameOffset],
    ]),
    stacks: asTable<"stacks">(program.stackParent.length, [
      ["parent", program.stackParent],
      ["frame", program.stackFrame],
      ["site", program.stackSite],
    ]),
    sites: asTable<"sites">(program.siteCode.length, [
      ["code", program.siteCode],
      ["line", program.siteLine],
      ["source", details.source],
      ["innerFrame", details.innerFrame],
      ["heaviestStack", details.heaviestStack],
    ]),
  };
}
