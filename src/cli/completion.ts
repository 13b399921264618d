import type { Command, Option } from 'commander';

/**
 * Scripts that let a shell complete the command's words. They are written out of the tree of commands, and start
 * nothing when the user presses Tab.
 */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, program: Command): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](program);
}

/** A command with the words that lead to it: none for the program itself. */
interface Place {
  readonly words: readonly string[];
  readonly commands: readonly Command[];
  /** What an argument may be, where that is one of a few. */
  readonly choices: readonly string[];
  readonly options: readonly Option[];
}

function placesOf(command: Command, words: readonly string[] = [], inherited: readonly Option[] = []): Place[] {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...inherited];
  const commands = command.commands.filter((sub) => sub.name() !== 'help');
  const passedOn = words.length === 0 ? command.options : inherited;
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  const below = commands.flatMap((sub) => placesOf(sub, [...words, sub.name()], passedOn));
  return [{ words, commands, choices, options }, ...below];
}

const flagsOf = ({ short, long }: Option) => [long, short].filter((flag) => flag !== undefined);
const choicesOf = ({ argChoices = [] }: Option) => argChoices.map((word) => word.toLowerCase().replaceAll('_', '-'));
const quoted = (words: string) => `'${words.replaceAll("'", `'\\''`)}'`;

function bashScript(program: Command): string {
  const name = program.name();
  const places = placesOf(program);
  const steps = places.flatMap(({ words, commands }) => commands.map((sub) => [...words, sub.name()].join(' ')));
  const cases = places.map(({ words, commands, choices, options }) => {
    const next = [...commands.map((sub) => sub.name()), ...choices].join(' ');
    return `    ${quoted(words.join(' '))}) next=${quoted(next)} options=${quoted(options.flatMap(flagsOf).join(' '))} ;;`;
  });
  const values = places.flatMap(({ words, options }) =>
    options.filter((option) => choicesOf(option).length > 0).flatMap((option) => flagsOf(option).map((flag) =>
      `    ${quoted(`${words.join(' ')}|${flag}`)}) values=${quoted(choicesOf(option).join(' '))} ;;`)));
  return `# Completion of ${name} for bash: source <(${name} completion bash)
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" place= next= options= values= word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "\${place:+$place }$word" in
    ${steps.map(quoted).join('|')}) place="\${place:+$place }$word" ;;
    esac
  done
  case "$place" in
${cases.join('\n')}
  esac
  case "$place|$before" in
${values.join('\n')}
  esac
  if [[ -n $values ]]; then COMPREPLY=($(compgen -W "$values" -- "$current"))
  elif [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  else COMPREPLY=($(compgen -W "$next" -- "$current"))
  fi
}
complete -o default -F _${name} ${name}
`;
}

/** zsh takes bash's completions. */
function zshScript(program: Command): string {
  const name = program.name();
  return `# Completion of ${name} for zsh: source <(${name} completion zsh)
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
${bashScript(program)}`;
}

function fishScript(program: Command): string {
  const name = program.name();
  const lines = placesOf(program).flatMap(({ words, commands, choices, options }) => {
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const others = commands.map((sub) => sub.name()).join(' ');
    const here = [...seen, ...(others === '' ? [] : [`not __fish_seen_subcommand_from ${others}`])].join('; and ');
    const condition = here === '' ? '' : ` -n ${quoted(here)}`;
    return [
      ...commands.map((sub) => `complete -c ${name} -f${condition} -a ${sub.name()} -d ${quoted(sub.description())}`),
      ...choices.map((word) => `complete -c ${name} -f${condition} -a ${word}`),
      ...options.map((option) => `complete -c ${name}${condition}${fishOption(option)}`),
    ];
  });
  return `# Completion of ${name} for fish: ${name} completion fish | source\n${lines.join('\n')}\n`;
}

function fishOption(option: Option): string {
  const flags = `${option.long ? ` -l ${option.long.slice(2)}` : ''}${option.short ? ` -s ${option.short.slice(1)}` : ''}`;
  const choices = choicesOf(option).length > 0 ? ` -x -a ${quoted(choicesOf(option).join(' '))}` : ' -r';
  return `${flags}${option.required ? choices : ''} -d ${quoted(option.description)}`;
}
