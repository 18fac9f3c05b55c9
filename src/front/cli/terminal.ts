/** What a stream can show. */
import { installation } from "./installation.ts";
import type { TextOptions } from "./text.ts";

/** How text will look on a stream: its width, whether it takes colour, whether it takes more than ASCII. */
export function textOptions(stream: NodeJS.WriteStream): TextOptions {
  const { env } = process;
  const columns = stream.isTTY ? stream.columns : Number(env.COLUMNS);
  return {
    width: columns >= 40 ? columns : 80,
    color: Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== "dumb",
    ascii: !isUtf8(env),
    called: installation.called,
  };
}

/** The locale as the C library finds it. None at all means "C" to the library, but to a terminal of today UTF-8. */
function isUtf8(env: NodeJS.ProcessEnv): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return locale === "" || /utf-?8/i.test(locale);
}
