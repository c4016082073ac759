// Puts the secret from standard input where PLACE says (JSON: the function and its options).
const { readFileSync } = require("node:fs");
const aws = require("aws-hmac");

const [name, options] = JSON.parse(process.env.PLACE);
aws[name](readFileSync(0), options).then((imported) => console.log(JSON.stringify(imported)));
