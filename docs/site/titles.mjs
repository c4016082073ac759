// A TypeDoc plugin: a guide's title is its heading, where TypeDoc takes the file's name.
export function load(app) {
  app.converter.on("createDocument", (_context, document) => {
    const text = document.content.map((part) => part.text).join("");
    const heading = /^# (.+)$/m.exec(text);
    if (!heading) throw new Error(`${document.name} has no heading`);
    document.name = heading[1].replaceAll("`", "");
  });
}
