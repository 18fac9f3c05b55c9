/** The facts of a recording as JSON, for bench.py: `node build/bench/facts.mjs FILE`. */
import { fileSource } from "../src/capture/run/file-source.ts";
import { openRecording } from "../src/tide/recording.ts";

const facts = openRecording(fileSource(process.argv[2])).table("facts");
const entries = facts.key.map((key, row) => [key, facts.text[row] === "" ? facts.number[row] : facts.text[row]]);
console.log(JSON.stringify(Object.fromEntries(entries)));
