/** Where every live block of the allocators begins, and how large it is: the allocators' own books, read from an image. */
import type { Image } from "../image/image.ts";

export const Allocator = { none: 0, pymalloc: 1, glibc: 2, mapped: 3, unknown: 4 } as const;

export interface BlockMap {
  /** size of the live block that starts exactly at an address (usable bytes), or 0 */
  liveSize(address: number): number;
  /** start of the live block that contains an address, or 0 */
  blockOf(address: number): number;
  /** allocator of a block start, see Allocator */
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

/** The farthest that the start of a block is looked for below an address within it, in granules: larger blocks are mapped ones. */
const FARTHEST = 1 << 20;

/** One entry for every 16 bytes of the image; all allocators align to 16. */
export class GranuleMap implements BlockMap {
  liveCount = 0;
  liveBytes = 0;
  private readonly image: Image;
  /** bytes of the block that starts at a granule, 0: none does */
  private readonly size: Uint32Array;
  private readonly by: Uint8Array;
  /** blocks of 4 GiB and more, and blocks whose start was not copied */
  private readonly large = new Map<number, { bytes: number; by: number }>();

  constructor(image: Image) {
    this.image = image;
    this.size = new Uint32Array((image.u32.length >>> 2) + 1);
    this.by = new Uint8Array(this.size.length);
  }

  add(address: number, bytes: number, by: number): void {
    this.liveCount++;
    this.liveBytes += bytes;
    const handle = this.image.handle(address);
    if (handle < 0 || bytes > 0xffffffff) {
      this.large.set(address, { bytes, by });
      return;
    }
    this.size[handle >>> 2] = bytes;
    this.by[handle >>> 2] = by;
  }

  /** Takes a block back: it lies in a free list. */
  remove(address: number): boolean {
    const handle = this.image.handle(address);
    if (handle < 0 || this.size[handle >>> 2] === 0) return false;
    this.liveCount--;
    this.liveBytes -= this.size[handle >>> 2]!;
    this.size[handle >>> 2] = 0;
    return true;
  }

  liveSize(address: number): number {
    const handle = this.image.handle(address);
    if (handle >= 0 && this.size[handle >>> 2] !== 0 && ((address >>> 0) & 15) === 0) return this.size[handle >>> 2]!;
    return this.large.size === 0 ? 0 : (this.large.get(address)?.bytes ?? 0);
  }

  blockOf(address: number): number {
    let at = address - ((address >>> 0) & 15);
    for (let steps = 0; steps < FARTHEST; steps++, at -= 16) {
      const bytes = this.liveSize(at);
      if (bytes !== 0) return at + bytes > address ? at : 0;
      if (this.image.handle(at) < 0) break;
    }
    return 0;
  }

  allocatorOf(address: number): number {
    const handle = this.image.handle(address);
    if (handle >= 0 && this.size[handle >>> 2] !== 0) return this.by[handle >>> 2]!;
    return this.large.get(address)?.by ?? Allocator.none;
  }

  forEachLive(f: (address: number, bytes: number, allocator: number) => void): void {
    const { image, size, by } = this;
    const large = [...this.large].sort((a, b) => a[0] - b[0]);
    let next = 0;
    for (const region of image.regions) {
      for (let page = region.start; page < region.end; page += 4096) {
        const handle = image.handle(page);
        while (next < large.length && large[next]![0] < page + 4096) {
          const [address, { bytes, by: allocator }] = large[next++]!;
          f(address, bytes, allocator);
        }
        if (handle < 0) continue;
        for (let granule = handle >>> 2, i = 0; i < 256; granule++, i++)
          if (size[granule] !== 0) f(page + i * 16, size[granule]!, by[granule]!);
      }
    }
  }
}
