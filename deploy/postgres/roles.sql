-- One database and one role a service, each with a password of its own. PostgreSQL's image runs this
-- once, when its volume is empty; psql reads the passwords from files, so that they are in no
-- environment and in no process list.

-- A statement that fails is written to the log, and these hold passwords.
SET log_min_error_statement = panic;

\set auth `cat /run/secrets/auth_database_password`
\set server_ops `cat /run/secrets/server_ops_database_password`
\set security `cat /run/secrets/security_database_password`

-- Room for four of each: a process opens 15 connections at most, one of server_ops 35.
CREATE ROLE auth LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 70 PASSWORD :'auth';
CREATE ROLE server_ops LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 150 PASSWORD :'server_ops';
CREATE ROLE security LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 70 PASSWORD :'security';

CREATE DATABASE auth OWNER auth;
CREATE DATABASE server_ops OWNER server_ops;
CREATE DATABASE security OWNER security;

-- A role gets into its own database alone, and, for DBOS, which looks there whether its database
-- exists, into the empty one that is called postgres.
REVOKE ALL ON DATABASE auth, server_ops, security, template1, postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO server_ops;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
