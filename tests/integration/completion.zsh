# SPDX-License-Identifier: Apache-2.0
# Types lines into an interactive zsh that has the completion script $1, each ended with TAB and RETURN, and prints what
# the command was then given: one "<argument>…" for each line of standard input.
zmodload zsh/zpty || exit 1
directory=$(mktemp -d) || exit 1
trap 'zpty -d shell 2>/dev/null; rm -rf $directory' EXIT
cat >$directory/.zshrc <<RC
PS1= PS2= RPS1=
unsetopt zle_bracketed_paste prompt_sp list_beep beep 2>/dev/null
LISTMAX=0
autoload -U compinit && compinit -u -d $directory/dump
source $1
dra-driver-sriov() { print -r -- "GOT:\${(j:><:)@}:END" }
print READY
RC
zpty shell env -i PATH=$PATH HOME=$directory ZDOTDIR=$directory TERM=dumb zsh -i
zpty -r -m shell output '*READY*' || exit 1
while IFS= read -r line; do
  zpty -w -n shell "$line"$'\t'$'\n'
  zpty -r -m shell output '*GOT:*:END*' || exit 1
  output=${output##*GOT:}
  print -r -- "<${output%%:END*}>"
done
