/** @type {import("jest").Config} */
module.exports = {
  testEnvironment: "node",
  // One for each core: jest would leave one idle, and the tests mostly wait for devices and servers.
  maxWorkers: "100%",
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
