// For npm run test:package, which makes the rooms: scripts/test-package.mjs.
/** @type {import("jest").Config} */
module.exports = {
  ...require("../../../jest.config.cjs"),
  rootDir: "../../..",
  // An emulated Node takes seconds to start.
  testTimeout: 180_000,
  testMatch: ["<rootDir>/test/package/rooms/*.room.ts"],
};
