/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  // Tests wait for what they start with bounds of their own; this one is for what hangs, on a loaded machine too.
  testTimeout: 60_000,
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  cacheDirectory: "<rootDir>/build/jest",
  modulePathIgnorePatterns: ["<rootDir>/build", "<rootDir>/dist"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } },
    ],
  },
  moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
};
