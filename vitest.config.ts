import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Tests start interpreters and pin file descriptors, signals and environments: one process a file.
    pool: "forks",
    maxWorkers: 2,
    // Generous: a test that hangs must end, a slow machine must not fail.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    passWithNoTests: false,
    reporters: process.env.CI ? ["dot"] : ["default"],
  },
});
