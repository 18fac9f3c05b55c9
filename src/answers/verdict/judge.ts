/**
 * The judge of one process: listens to its replay, keeps a bounded memory of every site, and says at the end what each site did.
 *
 * Two things are told late on purpose. Deaths wait for the next birth of the program: so a realloc is one step, and what dies after the
 * program's last birth (locals of the last frames, then the interpreter taking itself apart) is still alive "at the end". And births reach
 * the activation clock in chunks, because it reads each chunk twice (see patterns.ts).
 */

import { NONE } from "../../base/brand.ts";
import type { Row } from "../../tide/schema.ts";
import type { Program } from "../../views/blocks/codes.ts";
import type { Judge, JudgeContext, JudgeFactory } from "../../views/blocks/judge.ts";
import type { BlockListener, Replay } from "../../views/blocks/replay.ts";
import { Amounts } from "./amounts.ts";
import { Births } from "./births.ts";
import { Counts } from "./counts.ts";
import { Ending } from "./ending.ts";
import { SiteHistory } from "./history.ts";
import { Milestones } from "./milestones.ts";
import { Pending } from "./pending.ts";
import { Places } from "./places.ts";
import { Sampling } from "./sampling.ts";
import { judgeSites } from "./sites.ts";
import { Turns } from "./turns.ts";

/** A site that never has as much at once is not followed. */
const FOLLOWED = 2048;

export const createJudge: JudgeFactory = () => new ProcessJudge();

class ProcessJudge implements Judge, BlockListener {
  private program!: Program;
  private context!: JudgeContext;
  private replay!: Replay;
  private places!: Places;
  private amounts!: Amounts;
  private births!: Births;
  private counts!: Counts;
  private readonly sampling = new Sampling();
  private ending!: Ending;
  private milestones!: Milestones;
  private histories: (SiteHistory | undefined)[] = [];
  private readonly pending = new Pending();
  private readonly marks = new Map<string, Turns>();
  /** By slot: number of the birth of the block that is there. */
  private bornAt = new Float64Array(1024);
  private sequence = 0;

  get lastBirth(): number {
    return this.ending.lastBirth;
  }

  start(program: Program, context: JudgeContext): BlockListener {
    this.program = program;
    this.context = context;
    this.replay = context.replay;
    this.places = new Places(program, context.foldAt);
    const sites = program.siteCode.length;
    this.amounts = new Amounts(sites, context.exact);
    this.histories = Array.from({ length: sites }, () => undefined);
    this.births = new Births(this.places, this.histories, this.amounts);
    this.counts = new Counts(program.stackParent.length);
    this.ending = new Ending(this.places);
    this.milestones = new Milestones(context.start);
    return this;
  }

  born(slot: number, stack: number, thread: number, size: number, weight: number, replaces: number): void {
    const sequence = ++this.sequence;
    const { amounts, pending } = this;
    const site = this.program.stackSite[stack]!;
    const replaced = replaces === NONE ? -1 : pending.takeLast(replaces, site);
    this.noteOwner(sequence, stack, thread);
    amounts.add(site, size, weight, sequence);
    let history = this.histories[site];
    if (history === undefined && amounts.live(site) >= FOLLOWED) history = this.histories[site] = new SiteHistory();
    if (replaced >= 0)
      amounts.remove(site, pending.sizes[replaced]!, pending.weights[replaced]!, pending.bornAt[replaced]!);
    amounts.notePeak(site, sequence, this.replay.time);
    if (history !== undefined) {
      const bytes = size * weight;
      const made = amounts.made(site) - bytes;
      history.birth(sequence, amounts.live(site), amounts.variance(site), made, bytes, stack, thread, replaced >= 0);
      if (replaced >= 0)
        history.death(
          pending.bornAt[replaced]!,
          sequence,
          amounts.live(site),
          amounts.variance(site),
          amounts.made(site),
        );
    }
    if (slot >= this.bornAt.length) this.growSlots(slot);
    this.bornAt[slot] = sequence;
    this.passOn(sequence, stack, thread, size, weight);
  }

  transient(stack: number, thread: number, size: number, weight: number): void {
    const sequence = ++this.sequence;
    const { amounts } = this;
    const { time } = this.replay;
    const site = this.program.stackSite[stack]!;
    this.noteOwner(sequence, stack, thread);
    amounts.addTransient(site, size, weight, sequence, time);
    const bytes = size * weight;
    const history = this.histories[site];
    if (history !== undefined) {
      const made = amounts.made(site) - bytes;
      history.transient(sequence, amounts.live(site), amounts.variance(site), made, bytes, stack, thread);
    }
    this.passOn(sequence, stack, thread, size, weight);
  }

  transients(stack: number, _thread: number, count: number, bytes: number): void {
    if (!(count > 0)) return;
    this.amounts.addCounted(this.program.stackSite[stack]!, count, bytes);
    this.counts.addCounted(stack, bytes / count, count);
  }

  died(slot: number): void {
    const { live } = this.replay;
    const site = this.program.stackSite[live.stackOf(slot)]!;
    this.pending.add(slot, site, this.bornAt[slot]!, live.sizeOf(slot), live.weightOf(slot), this.sequence);
    this.bornAt[slot] = 0;
  }

  marked(label: string): void {
    let turns = this.marks.get(label);
    if (!turns) this.marks.set(label, (turns = new Turns()));
    turns.add(this.sequence + 1);
  }

  finish(endTime: number): Row<"siteFeatures">[] {
    if (this.sequence === 0) return [];
    this.births.finish();
    this.milestones.finish(this.sequence, endTime);
    return judgeSites({
      program: this.program,
      process: this.context.process,
      places: this.places,
      amounts: this.amounts,
      histories: this.histories,
      births: this.births,
      counts: this.counts,
      sampling: this.sampling,
      ending: this.ending,
      milestones: this.milestones,
      marks: this.marks,
      pending: this.pending,
      survivors: this.bornAt,
      siteOfSlot: (slot) => this.program.stackSite[this.replay.live.stackOf(slot)]!,
    });
  }

  /** The program goes on: then the deaths that wait are no part of its end. */
  private noteOwner(sequence: number, stack: number, thread: number): void {
    const { ending, pending } = this;
    if (ending.isProgram(stack, thread, sequence)) {
      ending.programBirth(sequence);
      if (pending.count > 0) this.settle();
    } else if (ending.otherBirth(thread, pending.count, this.replay.live.count)) this.settle();
  }

  private passOn(sequence: number, stack: number, thread: number, size: number, weight: number): void {
    const { replay } = this;
    this.milestones.birth(sequence, replay.time, size * weight);
    const sampled = replay.hasGaps;
    this.counts.add(stack, size, weight, !sampled);
    if (sampled) this.sampling.note(sequence, replay.interval);
    else this.sampling.noteWhole(sequence);
    this.births.add(replay.continues ? NONE : stack, thread, size, sampled);
  }

  /** Deaths since the program's last birth take effect. */
  private settle(): void {
    const { amounts, pending, histories } = this;
    for (let i = 0; i < pending.count; i++) {
      const site = pending.sites[i]!;
      amounts.remove(site, pending.sizes[i]!, pending.weights[i]!, pending.bornAt[i]!);
      const history = histories[site];
      if (history !== undefined) {
        history.death(
          pending.bornAt[i]!,
          pending.diedAt[i]!,
          amounts.live(site),
          amounts.variance(site),
          amounts.made(site),
        );
      }
    }
    pending.count = 0;
  }

  private growSlots(slot: number): void {
    const larger = new Float64Array(Math.max(slot + 1, this.bornAt.length * 2));
    larger.set(this.bornAt);
    this.bornAt = larger;
  }
}
