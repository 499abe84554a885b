// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/metrics.hpp"

#include <algorithm>
#include <charconv>

#include "host/telemetry/help.hpp"

namespace drasriov::telemetry {
namespace {

bool is_metric_name(std::string_view name) {
  return !name.empty() && (name.front() < '0' || name.front() > '9') &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string number(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

/// A bucket's: it is a label's value, and those who ask for le="0.0005" want to find it.
std::string bound_text(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

/// {a="b",le="1"}; nothing for no labels.
std::string label_text(const std::vector<std::string>& names,
                       const std::vector<std::string>& values, std::string_view bucket = {}) {
  std::string text;
  const auto add = [&text](std::string_view name, std::string_view value) {
    text.append(text.empty() ? "{" : ",").append(name).append("=\"");
    for (const char c : value) {
      if (c == '\n') {
        text += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  };
  for (std::size_t i = 0; i < names.size(); ++i) add(names[i], values[i]);
  if (!bucket.empty()) add("le", bucket);
  return text.empty() ? text : text + "}";
}

}  // namespace

Metrics::Series* Metrics::find(Kind kind, std::string_view name, std::span<const Label> labels) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const Label& label : labels) {
    names.emplace_back(label.name);
    values.emplace_back(label.value);
  }
  auto it = families_.find(name);
  const bool known = it != families_.end();
  const bool fits = known ? it->second.kind == kind && it->second.label_names == names
                          : is_metric_name(name) && std::ranges::all_of(names, is_metric_name);
  if (!fits) {
    if (refused_.insert(std::string(name)).second) {
      log_.warning("metric " + std::string(name) +
                   (known ? ": used with another kind or other labels than the first time, dropped"
                          : ": name or label is not [a-z_][a-z0-9_]*, dropped"));
    }
    return nullptr;
  }
  if (!known)
    it = families_.emplace(name, Family{.kind = kind, .label_names = std::move(names)}).first;
  return &it->second.series[std::move(values)];
}

void Metrics::counter_add(std::string_view name, std::span<const Label> labels, double amount) {
  const MutexLock lock(mutex_);
  if (Series* series = find(Kind::kCounter, name, labels); series != nullptr && amount > 0)
    series->value += amount;
}

void Metrics::gauge_set(std::string_view name, std::span<const Label> labels, double value) {
  const MutexLock lock(mutex_);
  if (Series* series = find(Kind::kGauge, name, labels); series != nullptr) series->value = value;
}

void Metrics::histogram_observe(std::string_view name, std::span<const Label> labels,
                                double value) {
  const MutexLock lock(mutex_);
  Series* series = find(Kind::kHistogram, name, labels);
  if (series == nullptr) return;
  series->value += value;
  const auto bucket = std::ranges::lower_bound(kBuckets, value) - kBuckets.begin();
  ++series->counts[static_cast<std::size_t>(bucket)];
}

std::string Metrics::text() const {
  const MutexLock lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    constexpr std::array<std::string_view, 3> kKinds = {"counter", "gauge", "histogram"};
    if (const auto help = help_of(name); !help.empty())
      out.append("# HELP ").append(name).append(" ").append(help).append("\n");
    out.append("# TYPE ")
        .append(name)
        .append(" ")
        .append(kKinds[static_cast<std::size_t>(family.kind)])
        .append("\n");
    for (const auto& [values, series] : family.series) {
      const auto line = [&](std::string_view suffix, const std::string& labels,
                            const std::string& value) {
        out.append(name).append(suffix).append(labels).append(" ").append(value).append("\n");
      };
      const std::string labels = label_text(family.label_names, values);
      if (family.kind != Kind::kHistogram) {
        line("", labels, number(series.value));
        continue;
      }
      std::uint64_t total = 0;
      for (std::size_t i = 0; i < series.counts.size(); ++i) {
        total += series.counts[i];
        const std::string bound = i < kBuckets.size() ? bound_text(kBuckets[i]) : "+Inf";
        line("_bucket", label_text(family.label_names, values, bound), std::to_string(total));
      }
      line("_sum", labels, number(series.value));
      line("_count", labels, std::to_string(total));
    }
  }
  return out;
}

}  // namespace drasriov::telemetry
