// For npm run test:package, which makes the rooms: scripts/test-package.mjs.
/** @type {import("jest").Config} */
module.exports = {
  ...require("../../../jest.config.cjs"),
  rootDir: "../../..",
  testMatch: ["<rootDir>/test/package/rooms/*.room.ts"],
};
