// The comparison in JavaScript: Express, jsonwebtoken, morgan and better-sqlite3, by their tutorials.
// node express_service.cjs --port PORT, with the folder of the packages in NODE_PATH.
const express = require("express");
const jwt = require("jsonwebtoken");
const morgan = require("morgan");
const Database = require("better-sqlite3");

const DEFAULT = "/api/20210901/system/mail/server";
const SETTINGS = "/cxrestapi/auth/SMTPSettings";
const database = new Database(process.env.BENCHMARK_FILE);
database.pragma("journal_mode = WAL");
database.exec(`CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY, host TEXT, port INTEGER, display_name TEXT,
  email_address TEXT, auth_type TEXT, connection_security_type TEXT)`);
database
  .prepare("INSERT OR IGNORE INTO settings VALUES (1, 'mail-server.com', 25, ?, ?, 'NO_AUTH', ?)")
  .run("John Smith", "john.smith@myorg.com", "NO_CONNECTION_SECURITY");
const first = database.prepare("SELECT * FROM settings ORDER BY id LIMIT 1");
const one = database.prepare("SELECT * FROM settings WHERE id = ?");
const all = database.prepare("SELECT * FROM settings ORDER BY id");

const app = express();
app.use(morgan("combined"));
app.use((request, response, next) => {
  try {
    jwt.verify((request.headers.authorization || "").replace("Bearer ", ""), process.env.BENCHMARK_SECRET);
    next();
  } catch {
    response.sendStatus(401);
  }
});
app.get(DEFAULT, (request, response) => response.json(first.get()));
app.get(`${SETTINGS}/:id`, (request, response) => response.json(one.get(request.params.id)));
app.get(SETTINGS, (request, response) => response.json(all.all()));
app.listen(Number(process.argv[process.argv.indexOf("--port") + 1]), "127.0.0.1");
