import { withClient } from '../database.ts';
import { addDba, listDbas, psqlCommand, removeDba } from '../dba.ts';
import { askForPassword, generatePassword } from '../password.ts';
import { say } from '../standard-output.ts';
import { withDatabase } from './database.ts';

export async function addDbaCommand(
  name: string,
  options: { user: string; askPassword?: boolean },
): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const asks = options.askPassword ?? process.stdin.isTTY;
      let shown: string | undefined;
      const { username, made } = await addDba(client, name, options.user, async () => {
        const given = asks ? await askForPassword(name) : undefined;
        if (given === undefined) shown = generatePassword();
        return given ?? shown ?? '';
      });
      say(`The login role ${name} speaks for ${username}.`);
      if (!made) say('It existed already, and keeps its password.');
      if (shown !== undefined) say(`Password: ${shown} (it is shown this once)`);
      say(await psqlCommand(client, name));
    }),
  );
}

export async function removeDbaCommand(name: string): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const { username, left } = await removeDba(client, name);
      say(`The login role ${name} no longer speaks for ${username}.`);
      if (left === 'role') say('The role itself stays, without what it had for this database.');
      if (left === 'role without login') {
        say('The role itself stays, since things depend on it, and can no longer log in.');
      }
    }),
  );
}

export async function listDbasCommand(): Promise<void> {
  await withDatabase((urls) =>
    withClient(urls.owner, async (client) => {
      const dbas = await listDbas(client);
      if (dbas.length === 0) say('No login role speaks for a user.');
      const width = Math.max(...dbas.map((dba) => dba.name.length));
      for (const { name, username, rights, canLogIn } of dbas) {
        const may = rights.length === 0 ? 'no roles' : rights.join(', ');
        say(`${name.padEnd(width)}  ${username}: ${may}${canLogIn ? '' : ' (can’t log in)'}`);
      }
    }),
  );
}
