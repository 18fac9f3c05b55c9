#!/usr/bin/env node
// Starts the bundle beside this file (scripts/build.mjs copies it to dist/tidegauge.cjs) with the compiled code of an earlier run, and
// without the optimising compiler: a command lives for a fraction of a second, in which optimised code does not earn what it costs. Who
// has much to compute switches the compiler on again (src/capture/run/compiler.ts).
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const v8 = require("node:v8");
const vm = require("node:vm");
const { pathToFileURL } = require("node:url");

const file = path.join(__dirname, "bundle.cjs");
const { size, mtimeMs } = fs.statSync(file);
const source = fs.readFileSync(file, "utf8");
// V8 itself refuses code that another version of it compiled; the name says which bundle it was compiled from.
const cache = path.join(__dirname, `bundle.${process.version}.${size}.${Math.round(mtimeMs)}.cache`);

v8.setFlagsFromString("--no-opt");
let cachedData;
try {
  cachedData = fs.readFileSync(cache);
} catch {
  // the first run of this bundle
}
const script = new vm.Script(`(function (require, bundleUrl, compiled) {${source}\n})`, { filename: file, cachedData });
const compiled = {
  /** Keeps what was compiled up to now for later runs. Does nothing when it is kept already, or cannot be. */
  keep() {
    if (cachedData && !script.cachedDataRejected) return;
    try {
      const unfinished = `${cache}.${process.pid}`;
      fs.writeFileSync(unfinished, script.createCachedData());
      fs.renameSync(unfinished, cache);
    } catch {
      // a folder that is not ours to write: the start is a little slower
    }
  },
};
script.runInThisContext()(require, pathToFileURL(file).href, compiled);
