// The peers are installed on demand, so the type check of the repository must do without their packages.
declare module "@feathersjs/authentication";
declare module "@feathersjs/authentication-local";
declare module "@feathersjs/errors";
declare module "@feathersjs/feathers";
declare module "@feathersjs/koa";
declare module "@feathersjs/memory";
declare module "@feathersjs/socketio";
declare module "better-auth";
declare module "better-auth/adapters/memory";
declare module "better-auth/node";
declare module "graphql";
declare module "graphql-ws/use/ws";
declare module "jsonwebtoken";
declare module "oidc-provider";
declare module "socket.io";
declare module "socketcluster-server";
