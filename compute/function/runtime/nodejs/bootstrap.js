'use strict';
// Slipway's runtime for Node.js: a client of the Lambda Runtime API. It takes
// invocations from AWS_LAMBDA_RUNTIME_API, hands each to the handler that
// _HANDLER names, and answers with what that returns, calls back or throws.

const fs = require('fs');
const net = require('net');
const path = require('path');
const util = require('util');

const prefix = '/2018-06-01/runtime';
const address = process.env.AWS_LAMBDA_RUNTIME_API;

// The one connection to the Runtime API, which speaks HTTP/1.1 with lengths.
let socket = null;
let received = [];
let waiting = null;

function connect() {
  const at = address.lastIndexOf(':');
  socket = net.connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
  socket.setNoDelay(true);
  received = [];
  socket.on('data', (part) => {
    received.push(part);
    if (waiting) parse();
  });
  const lost = () => process.exit(0); // the environment ends
  socket.on('error', lost);
  socket.on('close', lost);
}

function parse() {
  const data = received.length === 1 ? received[0] : Buffer.concat(received);
  received = [data];
  const end = data.indexOf('\r\n\r\n');
  if (end < 0) return;
  const lines = data.toString('latin1', 0, end).split('\r\n');
  const headers = {};
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const from = end + 4;
  const to = from + Number(headers['content-length'] || 0);
  if (data.length < to) return;
  received = data.length > to ? [data.subarray(to)] : [];
  const done = waiting;
  waiting = null;
  done({ status: Number(lines[0].split(' ')[1]), headers, body: data.subarray(from, to) });
}

function call(method, where, body, headers) {
  if (!socket) connect();
  socket.ref();
  const data = Buffer.from(body || '');
  let head = `${method} ${prefix}${where} HTTP/1.1\r\nHost: ${address}\r\nContent-Length: ${data.length}\r\n`;
  for (const name of Object.keys(headers || {})) head += `${name}: ${headers[name]}\r\n`;
  socket.write(Buffer.concat([Buffer.from(head + '\r\n', 'latin1'), data]));
  return new Promise((resolve) => {
    waiting = (answer) => {
      socket.unref(); // what the handler leaves to do decides when the loop is empty
      resolve(answer);
    };
  });
}

// Each call of console is one event of the log.
let requestId;
function logAs(level) {
  return (...args) => {
    const text = util.format(...args).replace(/\n/g, '\r');
    process.stdout.write(`${new Date().toISOString()}\t${requestId || 'undefined'}\t${level}\t${text}\n`);
  };
}
console.log = logAs('INFO');
console.info = logAs('INFO');
console.warn = logAs('WARN');
console.error = logAs('ERROR');
console.debug = logAs('DEBUG');
console.trace = logAs('TRACE');

function describe(error) {
  if (error instanceof Error) {
    return { errorType: error.name, errorMessage: error.message, trace: (error.stack || '').split('\n') };
  }
  const text = typeof error === 'string' ? error : util.inspect(error);
  return { errorType: typeof error, errorMessage: text, trace: [] };
}

class InitError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

// isModule says whether a .js file is an ES module, by the nearest package.json.
function isModule(file, root) {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let dir = path.dirname(file); dir.startsWith(root); dir = path.dirname(dir)) {
    const about = path.join(dir, 'package.json');
    if (fs.existsSync(about)) return JSON.parse(fs.readFileSync(about, 'utf8')).type === 'module';
    if (dir === path.dirname(dir)) break;
  }
  return false;
}

async function load(root, name) {
  const base = path.basename(name);
  const dot = base.indexOf('.');
  if (dot < 1) throw new InitError('Runtime.MalformedHandlerName', 'Bad handler');
  const module = path.join(path.dirname(name), base.slice(0, dot));
  const whole = path.resolve(root, module);
  const file = ['', '.js', '.mjs', '.cjs'].map((end) => whole + end).find((f) => fs.existsSync(f) && fs.statSync(f).isFile());
  if (!file && !fs.existsSync(whole)) {
    throw new InitError('Runtime.ImportModuleError', `Error: Cannot find module '${path.basename(module)}'`);
  }
  let found;
  try {
    found = file && isModule(file, root) ? await import(require('url').pathToFileURL(file).href) : require(file || whole);
  } catch (e) {
    if (e instanceof SyntaxError) throw new InitError('Runtime.UserCodeSyntaxError', String(e));
    if (e && (e.code === 'MODULE_NOT_FOUND' || e.code === 'ERR_MODULE_NOT_FOUND')) {
      throw new InitError('Runtime.ImportModuleError', String(e));
    }
    throw e;
  }
  for (const part of base.slice(dot + 1).split('.')) {
    found = found === undefined || found === null ? undefined : found[part] !== undefined ? found[part] : (found.default || {})[part];
  }
  if (found === undefined) throw new InitError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof found !== 'function') throw new InitError('Runtime.HandlerNotFound', `${name} is not a function`);
  return found;
}

function contextOf(headers, done) {
  const env = process.env;
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const json = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    clientContext: json('lambda-runtime-client-context'),
    identity: json('lambda-runtime-cognito-identity'),
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
    done: (error, result) => done(error, result, true),
    succeed: (result) => done(null, result, true),
    fail: (error) => done(error === undefined || error === null ? 'handled' : error, undefined, true),
  };
}

// run calls the handler, and resolves with its result once that is due.
function run(handler, event, headers) {
  return new Promise((resolve, reject) => {
    let settle = null; // what the callback told, for when the loop is empty
    const empty = () => {
      process.removeListener('beforeExit', empty);
      if (settle) settle();
      else resolve(null); // it neither returned a promise nor called back
    };
    process.on('beforeExit', empty);
    const end = (then) => {
      process.removeListener('beforeExit', empty);
      then();
    };
    const done = (error, result, now) => {
      if (settle) return;
      settle = () => (error === undefined || error === null ? resolve(result) : reject(error));
      if (now || !context.callbackWaitsForEmptyEventLoop) end(settle);
    };
    const context = contextOf(headers, done);
    let returned;
    try {
      returned = handler(event, context, (error, result) => done(error, result, false));
    } catch (e) {
      end(() => reject(e));
      return;
    }
    if (returned && typeof returned.then === 'function') {
      returned.then((v) => end(() => resolve(v)), (e) => end(() => reject(e)));
    }
  });
}

async function fail(where, error) {
  const document = describe(error);
  await call('POST', where, JSON.stringify(document), { 'Lambda-Runtime-Function-Error-Type': document.errorType.replace(/[^\x20-\x7e]/g, '?') });
}

// What nobody caught ends the process, after the invocation that it belongs to.
for (const [event, wrap] of [['uncaughtException', (e) => e], ['unhandledRejection', (e) => {
  const error = new Error(e instanceof Error ? `${e.name}: ${e.message}` : util.inspect(e));
  error.name = 'Runtime.UnhandledPromiseRejection';
  return error;
}]]) {
  process.on(event, (e) => {
    const error = wrap(e);
    logAs('ERROR')(event === 'uncaughtException' ? 'Uncaught Exception' : 'Unhandled Promise Rejection', JSON.stringify(describe(error)));
    waiting = null;
    fail(requestId ? `/invocation/${requestId}/error` : '/init/error', error).then(() => process.exit(requestId ? 129 : 1));
  });
}

async function main() {
  let handler;
  try {
    handler = await load(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER || '');
  } catch (e) {
    logAs('ERROR')('Uncaught Exception', JSON.stringify(describe(e)));
    await fail('/init/error', e);
    process.exit(1);
  }
  for (;;) {
    const next = await call('GET', '/invocation/next');
    if (next.status !== 200) throw new Error(`the Runtime API answered ${next.status}`);
    requestId = next.headers['lambda-runtime-aws-request-id'];
    const trace = next.headers['lambda-runtime-trace-id'];
    if (trace) process.env._X_AMZN_TRACE_ID = trace;
    else delete process.env._X_AMZN_TRACE_ID;
    const id = requestId;
    let answer;
    try {
      const result = await run(handler, JSON.parse(next.body.toString()), next.headers);
      answer = JSON.stringify(result === undefined ? null : result);
      if (answer === undefined) throw new InitError('Runtime.MarshalError', 'Unable to stringify response body');
    } catch (e) {
      logAs('ERROR')('Invoke Error', JSON.stringify(describe(e)));
      await fail(`/invocation/${id}/error`, e);
      continue;
    }
    await call('POST', `/invocation/${id}/response`, answer);
  }
}

main();
