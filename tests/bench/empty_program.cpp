// SPDX-License-Identifier: Apache-2.0
//
// The least that a static program costs: the floor of hook_bench.
int main() {
  return 0;
}
