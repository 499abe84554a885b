// SPDX-License-Identifier: Apache-2.0
//
// Start as an ordered list of small actions over one context, and the reverse at stop. Each action
// is a free function, so that a test calls it with a hand-made context. One thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::app {

template <typename Context>
struct Step {
  std::string_view name;  ///< "open the journal": what failed, in messages
  Status (*start)(Context&);
  void (*stop)(Context&);  ///< nullptr = nothing to undo
};

/// How far the list came.
struct StepsStarted {
  std::size_t count = 0;
  Status status;
};

/// Starts in order until one fails or `interrupted` says so before the next. What was started is
/// left started: the caller stops it with stop_steps().
template <typename Context>
[[nodiscard]] StepsStarted start_steps(std::span<const Step<Context>> steps, Context& context,
                                       const std::function<bool()>& interrupted) {
  StepsStarted started;
  for (const Step<Context>& step : steps) {
    if (interrupted()) {
      started.status = Error(Code::kCancelled, "stopped before " + std::string(step.name));
      return started;
    }
    if (auto status = step.start(context); !status) {
      started.status = status.error().with_context(step.name);
      return started;
    }
    ++started.count;
  }
  return started;
}

/// Stops the first `count` steps, the last one first. Always runs to the end.
template <typename Context>
void stop_steps(std::span<const Step<Context>> steps, std::size_t count, Context& context) {
  while (count > 0) {
    const Step<Context>& step = steps[--count];
    if (step.stop != nullptr) step.stop(context);
  }
}

}  // namespace drasriov::app
