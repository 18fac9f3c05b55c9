/** Where every live block of the allocators begins, and how large it is. */
export interface BlockMap {
  /** size of the live block that starts exactly at an address (usable bytes), or 0 */
  liveSize(address: number): number;
  /** start of the live block that contains an address, or 0 */
  blockOf(address: number): number;
  /** allocator of a block start: 1 pymalloc 2 glibc 3 mmapped chunk 4 unknown */
  allocatorOf(address: number): number;
  /** live blocks in address order */
  forEachLive(f: (address: number, bytes: number, allocator: number) => void): void;
  liveCount: number;
}

/** A map that knows no block: sizes come from types alone. */
export const NO_BLOCKS: BlockMap = {
  liveSize: () => 0,
  blockOf: () => 0,
  allocatorOf: () => 0,
  forEachLive() {},
  liveCount: 0,
};
