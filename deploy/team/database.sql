-- A user and a database for the metadata of one home. Run by a superuser, with the password from the environment:
--   psql --set=password="$LOOPLINE_PASSWORD" --file=deploy/team/database.sql
-- Each home has a database of its own: Loopline writes the home's id into it and refuses another's.
create role loopline login password :'password';
create database loopline owner loopline;
revoke all on database loopline from public;
