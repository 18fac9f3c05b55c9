// Makes an ELF program use another loader and library folder, in place:  set-loader.mjs PROGRAM LOADER FOLDER
//
// Nothing moves: the two strings go into the unused end of a page that a loaded segment ends in (the kernel maps whole
// pages), PT_INTERP is pointed at one of them, and a spare entry at the end of .dynamic becomes DT_RPATH. So symbols,
// sections and addresses stay those of the distribution's build, which is what the tests are about. (Tools that rewrite the
// file move .dynsym and .dynamic, and what they made of a large non-PIE Python did not start.)
import { readFileSync, writeFileSync } from "node:fs";

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_STRTAB = 5;
const DT_RPATH = 15;
const PAGE = 4096;

const [program, loader, folder] = process.argv.slice(2);
const bytes = readFileSync(program);
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const u64 = (at) => Number(view.getBigUint64(at, true));
const setU64 = (at, value) => view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
const fail = (why) => {
  console.error(`${program}: ${why}`);
  process.exit(1);
};
if (view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) fail("not a 64-bit little-endian ELF file");

const headers = [];
for (let i = 0; i < view.getUint16(56, true); i++) {
  const at = u64(32) + i * view.getUint16(54, true);
  headers.push({
    at,
    type: view.getUint32(at, true),
    offset: u64(at + 8),
    address: u64(at + 16),
    fileSize: u64(at + 32),
    memorySize: u64(at + 40),
  });
}
const loads = headers.filter((h) => h.type === PT_LOAD);
const interpreter = headers.find((h) => h.type === PT_INTERP) ?? fail("a static program has no loader");
const dynamic = headers.find((h) => h.type === PT_DYNAMIC) ?? fail("no dynamic section");

const text = Buffer.from(`${loader}\0${folder}\0`);
const room = loads
  .filter((h) => h.fileSize === h.memorySize)
  .map((h) => {
    const end = h.offset + h.fileSize;
    const following = Math.min(bytes.length, ...headers.map((other) => other.offset).filter((offset) => offset >= end));
    return { end, address: h.address + h.fileSize, size: Math.min(following, Math.ceil(end / PAGE) * PAGE) - end };
  })
  .find((gap) => gap.size >= text.length && bytes.subarray(gap.end, gap.end + text.length).every((byte) => byte === 0));
if (!room) fail("no unused room at the end of a segment");

const entries = [];
for (let at = dynamic.offset; at < dynamic.offset + dynamic.fileSize; at += 16)
  entries.push({ at, tag: u64(at), value: u64(at + 8) });
const end = entries.findIndex((entry) => entry.tag === DT_NULL);
if (entries.some((entry) => entry.tag === DT_RPATH)) fail("it has a DT_RPATH already");
if (end < 0 || end + 1 >= entries.length) fail("no spare entry in the dynamic section");
const strings = entries.find((entry) => entry.tag === DT_STRTAB) ?? fail("no string table");

text.copy(bytes, room.end);
setU64(interpreter.at + 8, room.end);
setU64(interpreter.at + 16, room.address);
setU64(interpreter.at + 24, room.address);
setU64(interpreter.at + 32, loader.length + 1);
setU64(interpreter.at + 40, loader.length + 1);
setU64(entries[end].at, DT_RPATH);
// An offset into the string table; it may lie before the table, the addition wraps.
setU64(entries[end].at + 8, room.address + loader.length + 1 - strings.value);
writeFileSync(program, bytes);
