// SPDX-License-Identifier: Apache-2.0
#include "host/app/completion.hpp"

#include "host/app/command_spec.hpp"
#include "host/config/load.hpp"

namespace drasriov::app {
namespace {

/// In single quotes of a shell.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out += "'";
}

/// "name:help" of zsh's _describe, in which a colon of the name is escaped.
std::string described(std::string_view name, std::string_view help) {
  return in_quotes(std::string(name) + ":" + std::string(help));
}

/// What both shells ask: functions that set `what` to the placeholder of a value, in the part of the shells' languages
/// that they share.
std::string shared_functions() {
  std::string values;
  std::string operands;
  const auto operand = [&](const std::string& where, const OperandSpec& spec) {
    if (spec.most == 0) return;
    operands += "    " + in_quotes(where) + ") what=" + in_quotes(spec.placeholder) + " ;;\n";
  };
  for (const CommandSpec& command : command_table()) {
    const std::string name(command.name);
    for (const OptionSpec& option : all_options(command)) {
      if (option.placeholder.empty()) continue;
      std::string pattern = in_quotes(name + " --" + std::string(option.name));
      if (option.letter != '\0') pattern += " | " + in_quotes(name + " -" + option.letter);
      values += "    " + pattern + ") what=" + in_quotes(option.placeholder) + " ;;\n";
    }
    operand(name + " ", command.operands);
    for (const VerbSpec& verb : command.verbs) {
      operand(name + " " + std::string(verb.name), verb.operands);
    }
  }
  std::string modules;
  for (const config::ModuleEntry& module : config::default_modules()) {
    modules.append(modules.empty() ? "" : " ").append(module.module);
  }
  return "_dra_driver_sriov_modules=" + in_quotes(modules) +
         "\n\n# COMMAND FLAG: what its value is; nothing for a switch\n"
         "_dra_driver_sriov_value() {\n  case \"$1 $2\" in\n" +
         values +
         "    *) what='' ;;\n  esac\n}\n\n# COMMAND VERB: what its arguments are\n"
         "_dra_driver_sriov_operand() {\n  case \"$1 $2\" in\n" +
         operands + "    *) what='' ;;\n  esac\n}\n";
}

/// Sets `variable` to the flags, commands or verbs of "$1"; `entry` writes one.
template <typename Entry>
std::string lists(std::string_view open, std::string_view close, Entry entry) {
  const auto add = [&](std::string& out, const std::string& name, std::string_view help) {
    out += " " + entry(name, help);
  };
  std::string commands;
  std::string flags;
  std::string verbs;
  for (const CommandSpec& command : command_table()) {
    add(commands, std::string(command.name), command.summary);
    std::string list;
    for (const OptionSpec& option : all_options(command)) {
      add(list, "--" + std::string(option.name), option.help);
      if (option.letter != '\0') add(list, std::string("-") + option.letter, option.help);
    }
    const auto line = [&](const std::string& texts) {
      return "    " + std::string(command.name) + ") list=" + std::string(open) + texts.substr(1) +
             std::string(close) + " ;;\n";
    };
    flags += line(list);
    list.clear();
    for (const VerbSpec& verb : command.verbs) add(list, std::string(verb.name), verb.help);
    if (!list.empty()) verbs += line(list);
  }
  const std::string none =
      "    *) list=" + std::string(open) + std::string(close) + " ;;\n  esac\n}\n";
  return "\n_dra_driver_sriov_commands() {\n  list=" + std::string(open) + commands.substr(1) +
         std::string(close) + "\n}\n\n# COMMAND\n_dra_driver_sriov_flags() {\n  case $1 in\n" +
         flags + none + "\n# COMMAND\n_dra_driver_sriov_verbs() {\n  case $1 in\n" + verbs + none;
}

/// Finds `command` and `verb` in the words before the current one. 1 and up in bash's array are 2 and up in zsh's.
std::string walk(std::string_view first_index, std::string_view current_index) {
  return R"sh(
  local command='' verb='' what='' skip='' word i list
  for ((i = )sh" +
         std::string(first_index) + "; i < " + std::string(current_index) + R"sh(; ++i)); do
    word=${words[i]}
    if [[ -n $skip ]]; then
      skip=''
    elif [[ $word == -* ]]; then
      [[ -n $command ]] || command=run
      _dra_driver_sriov_value "$command" "$word"
      [[ -z $what ]] || skip=$word
    elif [[ -z $command ]]; then
      command=$word
    elif [[ -z $verb ]]; then
      _dra_driver_sriov_verbs "$command"
      [[ -z $list ]] || verb=$word
    fi
  done
)sh";
}

constexpr std::string_view kBashOffer = R"sh(
# WHAT PREFIX CURRENT: fills COMPREPLY
_dra_driver_sriov_offer() {
  local choice fixed
  case $1 in
    FILE) mapfile -t COMPREPLY < <(compgen -f -P "$2" -- "$3") && compopt -o filenames 2>/dev/null ;;
    DIR) mapfile -t COMPREPLY < <(compgen -d -P "$2" -- "$3") && compopt -o filenames 2>/dev/null ;;
    MODULE)
      mapfile -t COMPREPLY < <(compgen -P "$2" -W "$_dra_driver_sriov_modules" -- "$3"; compgen -f -P "$2" -- "$3")
      compopt -o filenames 2>/dev/null
      ;;
    *'|'*)
      while IFS= read -r choice; do
        fixed=${choice%%[A-Z]*} # dir:PATH is "dir:" and a path
        if [[ $fixed != "$choice" && $3 == "$fixed"* ]]; then
          _dra_driver_sriov_offer DIR "$2$fixed" "${3#"$fixed"}"
        elif [[ $fixed == "$3"* ]]; then
          COMPREPLY+=("$2$fixed")
          [[ $fixed == "$choice" ]] || compopt -o nospace 2>/dev/null
        fi
      done <<<"${1//|/$'\n'}"
      ;;
  esac
}

_dra_driver_sriov() {
  COMPREPLY=()
  # readline cuts words at ':' and '=': here they are put together again.
  local words=() current='' breaks='' head
  local -i n=0 cut=0 end=$COMP_CWORD
  for ((n = 0; n <= end; ++n)); do
    if [[ ${#words[@]} -gt 1 && (${COMP_WORDS[n]} == [:=] || ($cut -eq 1 && -n ${COMP_WORDS[n]})) ]]; then
      words[-1]+=${COMP_WORDS[n]}
    elif [[ $cut -eq 0 || ${COMP_LINE:COMP_POINT-1:1} == ' ' ]]; then
      words+=("${COMP_WORDS[n]}")
    fi
    cut=0
    [[ ${COMP_WORDS[n]} != [:=] ]] || cut=1
  done
  current=${words[-1]})sh";

constexpr std::string_view kBashEnd = R"sh(
  if [[ -n $skip ]]; then
    _dra_driver_sriov_value "$command" "$skip"
    _dra_driver_sriov_offer "$what" '' "$current"
  elif [[ $current == --*=* ]]; then
    _dra_driver_sriov_value "${command:-run}" "${current%%=*}"
    _dra_driver_sriov_offer "$what" "${current%%=*}=" "${current#*=}"
  elif [[ $current == -* ]]; then
    _dra_driver_sriov_flags "${command:-run}"
    [[ -n $command ]] || list+=' --version'
    mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
  elif [[ -z $command ]]; then
    _dra_driver_sriov_commands
    mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
  else
    _dra_driver_sriov_verbs "$command"
    if [[ -n $list && -z $verb ]]; then
      mapfile -t COMPREPLY < <(compgen -W "$list" -- "$current")
    else
      _dra_driver_sriov_operand "$command" "$verb"
      _dra_driver_sriov_offer "$what" '' "$current"
    fi
  fi
  [[ $COMP_WORDBREAKS != *:* ]] || breaks+=:
  [[ $COMP_WORDBREAKS != *=* ]] || breaks+='='
  if [[ -n $breaks ]]; then
    head=${current%"${current##*["$breaks"]}"}
    COMPREPLY=("${COMPREPLY[@]#"$head"}")
  fi
}
complete -F _dra_driver_sriov dra-driver-sriov
)sh";

constexpr std::string_view kZshOffer = R"sh(
# WHAT: of the word from its ignored prefix on
_dra_driver_sriov_offer() {
  local choice fixed
  case $1 in
    FILE) _files ;;
    DIR) _files -/ ;;
    MODULE) compadd -- ${=_dra_driver_sriov_modules}; _files ;;
    *'|'*)
      for choice in ${(s:|:)1}; do
        fixed=${choice%%[A-Z]*}  # dir:PATH is "dir:" and a path
        if [[ $fixed == $choice ]]; then
          compadd -- $fixed
        elif compset -P $fixed; then
          _files -/
        else
          compadd -S '' -- $fixed
        fi
      done
      ;;
  esac
}

_dra_driver_sriov() {
  local current=${PREFIX})sh";

constexpr std::string_view kZshEnd = R"sh(
  if [[ -n $skip ]]; then
    _dra_driver_sriov_value "$command" "$skip"
    _dra_driver_sriov_offer "$what"
  elif [[ $current == --*=* ]]; then
    _dra_driver_sriov_value "${command:-run}" "${current%%=*}"
    compset -P '*='
    _dra_driver_sriov_offer "$what"
  elif [[ $current == -* ]]; then
    _dra_driver_sriov_flags "${command:-run}"
    [[ -n $command ]] || list+=('--version:version of the driver')
    _describe flag list
  elif [[ -z $command ]]; then
    _dra_driver_sriov_commands
    _describe command list
  else
    _dra_driver_sriov_verbs "$command"
    if [[ -n $list && -z $verb ]]; then
      _describe command list
    else
      _dra_driver_sriov_operand "$command" "$verb"
      _dra_driver_sriov_offer "$what"
    fi
  fi
}

# As a file of $fpath this runs at the first completion, which it then does; sourced, it is made known.
if [[ ${funcstack[1]-} == _dra-driver-sriov ]]; then
  _dra_driver_sriov "$@"
else
  compdef _dra_driver_sriov dra-driver-sriov
fi
)sh";

}  // namespace

std::string bash_completion() {
  return "# Completion of dra-driver-sriov for bash; written by `dra-driver-sriov completion "
         "bash`.\n" +
         shared_functions() +
         lists("'", "'", [](const std::string& name, std::string_view) { return name; }) +
         std::string(kBashOffer) + walk("1", "${#words[@]} - 1") + std::string(kBashEnd);
}

std::string zsh_completion() {
  return "#compdef dra-driver-sriov\n"
         "# Completion of dra-driver-sriov for zsh; written by `dra-driver-sriov completion "
         "zsh`.\n" +
         shared_functions() + lists("(", ")", described) + std::string(kZshOffer) +
         walk("2", "CURRENT") + std::string(kZshEnd);
}

}  // namespace drasriov::app
