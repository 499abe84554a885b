// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/http_client.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host/base/backoff.hpp"
#include "host/base/thread_annotations.hpp"
#include "host/cluster/kube/curl_late.hpp"
#include "host/cluster/kube/token_bucket.hpp"
#include "host/cluster/kube/transfer.hpp"

namespace drasriov::cluster::kube {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A caller without a deadline gets this one.
constexpr seconds kLongestCall{60};
/// Of an answer that refuses a stream; the rest of a longer one is left unread.
constexpr std::size_t kLargestRefusal = 64U << 10U;
/// Idle connections that are kept: one for each thread that writes, one for prepare.
constexpr long kIdleConnections = 4;

milliseconds whole_milliseconds(Clock::duration duration) {
  return std::max(std::chrono::ceil<milliseconds>(duration), milliseconds(0));
}

}  // namespace

/// Everything but the mutex-guarded members belongs to the I/O thread.
class HttpClient::Impl {
 public:
  Impl(const Connection& connection, HttpSettings settings, telemetry::Log& log)
      : settings_(std::move(settings)),
        log_(log),
        identity_(connection),
        bucket_(settings_.requests_per_second, settings_.burst) {}

  Status start() {
    multi_.reset(curl_multi_init());
    if (!multi_) return Error(Code::kInternal, "libcurl cannot be initialised");
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, kIdleConnections);
    if (auto token = identity_.token(); !token) return token.error();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  ~Impl() {
    if (!thread_.joinable()) return;
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    curl_multi_wakeup(multi_.get());
    thread_.join();
  }

  Result<HttpResponse> perform(HttpRequest request, Deadline deadline) {
    auto job = std::make_shared<Job>(settings_);
    job->request = std::move(request);
    job->deadline = Deadline::earliest(deadline, Deadline::after(kLongestCall)).when();
    submit(job);
    const MutexLock lock(mutex_);
    while (!job->done) changed_.wait(mutex_);
    if (job->error) return *std::move(job->error);
    return std::move(job->response);
  }

  std::unique_ptr<HttpStream> stream(HttpRequest request, milliseconds longest, StreamSink& sink) {
    auto job = std::make_shared<Job>(settings_);
    job->request = std::move(request);
    job->sink = &sink;
    job->deadline = Clock::now() + longest;
    submit(job);
    return std::make_unique<Stream>(*this, std::move(job));
  }

  void end_by(Deadline deadline) {
    {
      const MutexLock lock(mutex_);
      end_ = deadline.when();
    }
    curl_multi_wakeup(multi_.get());
  }

 private:
  /// One request with all its attempts.
  struct Job {
    explicit Job(const HttpSettings& settings)
        : backoff(settings.first_backoff, settings.longest_backoff) {}

    HttpRequest request;
    StreamSink* sink = nullptr;  ///< nullptr: an answer that ends
    Clock::time_point deadline;

    Clock::time_point due = Clock::time_point::min();  ///< of the next attempt
    Clock::time_point began;
    /// Of a stream: until when something must come. max() = nothing is owed.
    Clock::time_point patience = Clock::time_point::max();
    int attempts = 0;
    Backoff backoff;
    bool token_was_refused = false;
    bool too_large = false;
    bool answered = false;  ///< of a stream: the headers of a 200 came
    std::optional<Error> refused_by_sink;
    std::optional<Error> last_failure;  ///< of an attempt that will be repeated
    std::unique_ptr<Transfer> transfer;
    HttpResponse response;

    // Guarded by Impl::mutex_.
    bool cancelled = false;
    bool done = false;
    std::optional<Error> error;
  };
  using JobPointer = std::shared_ptr<Job>;
  using JobIterator = std::list<JobPointer>::iterator;

  class Stream final : public HttpStream {
   public:
    Stream(Impl& impl, JobPointer job) : impl_(impl), job_(std::move(job)) {}
    ~Stream() override { impl_.cancel(*job_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

   private:
    Impl& impl_;
    JobPointer job_;
  };

  void submit(JobPointer job) {
    {
      const MutexLock lock(mutex_);
      if (stopping_) {
        job->error = Error(Code::kCancelled, job->request.name + ": the driver stops");
        job->done = true;
        return;
      }
      submitted_.push_back(std::move(job));
    }
    curl_multi_wakeup(multi_.get());
  }

  void cancel(Job& job) {
    const MutexLock lock(mutex_);
    job.cancelled = true;
    curl_multi_wakeup(multi_.get());
    while (!job.done) changed_.wait(mutex_);
  }

  // --- the I/O thread --------------------------------------------------------------------------

  void run() {
    for (;;) {
      {
        const MutexLock lock(mutex_);
        jobs_.splice(jobs_.end(), submitted_);
        if (stopping_) break;
      }
      drop_cancelled();
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      collect();
      const auto next = advance();
      constexpr milliseconds kLongestWait = std::chrono::minutes(10);
      const auto wait = std::min(whole_milliseconds(next - Clock::now()), kLongestWait);
      // Wakes at once for what advance() has begun.
      curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait.count()), nullptr);
    }
    while (!jobs_.empty()) {
      end_job(jobs_.begin(),
              Error(Code::kCancelled, jobs_.front()->request.name + ": the driver stops"));
    }
  }

  void drop_cancelled() {
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      const auto present = it++;
      bool cancelled = false;
      {
        const MutexLock lock(mutex_);
        cancelled = (*present)->cancelled;
      }
      if (!cancelled) continue;
      (*present)->sink = nullptr;  // whoever cancels wants to hear no more
      end_job(present, Error(Code::kCancelled, "cancelled"));
    }
  }

  /// Starts what is due and ends what is late. When to look again.
  Clock::time_point advance() {
    const auto now = Clock::now();
    const auto end = end_of_all();
    auto next = now + std::chrono::hours(1);
    bool limited = false;  // one that waits for a token makes those behind it wait
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      const auto present = it++;
      Job& job = **present;
      if (!job.sink && end <= now) {
        end_job(present, Error(Code::kCancelled, job.request.name + ": the driver stops"));
        continue;
      }
      if (!job.sink) next = std::min(next, end);
      if (job.transfer) {  // libcurl has a timer of its own for the deadline
        if (job.patience <= now) {
          end_job(present,
                  Error(Code::kUnavailable, job.request.name + ": the API server went silent"));
          continue;
        }
        next = std::min(next, job.patience);
        continue;
      }
      if (job.deadline <= now) {
        end_job(present, late(job));
        continue;
      }
      if (job.due > now) {
        next = std::min({next, job.deadline, job.due});
        continue;
      }
      if (job.request.rate_limited && (limited || !bucket_.take(now))) {
        limited = true;
        next = std::min({next, job.deadline, bucket_.ready_at(now)});
        continue;
      }
      begin(present, job.deadline - now);
    }
    return next;
  }

  Clock::time_point end_of_all() {
    const MutexLock lock(mutex_);
    return end_;
  }

  static Error late(const Job& job) {
    if (job.last_failure) return *job.last_failure;
    return {Code::kDeadlineExceeded,
            job.request.name + ": its time was over while it waited for the client-side limit",
            "allow more requests a second: KUBE_API_QPS, KUBE_API_BURST"};
  }

  void begin(JobIterator at, Clock::duration budget) {
    Job& job = **at;
    ++job.attempts;
    job.began = Clock::now();
    job.response = {};
    job.too_large = false;
    auto transfer =
        Transfer::make(identity_, job.request, settings_, whole_milliseconds(budget),
                       [this, &job](std::string_view bytes) { return consume(job, bytes); });
    if (!transfer) {
      end_job(at, transfer.error());
      return;
    }
    job.transfer = *std::move(transfer);
    if (job.sink) job.patience = job.began + settings_.stream_patience;
    curl_multi_add_handle(multi_.get(), job.transfer->handle());
    by_handle_[job.transfer->handle()] = at;
  }

  bool consume(Job& job, std::string_view bytes) {
    if (!job.sink || job.transfer->code() != 200) {
      const std::size_t largest = job.sink ? kLargestRefusal : settings_.largest_body;
      const std::size_t room = largest - job.response.body.size();
      job.too_large = bytes.size() > room;
      job.response.body.append(bytes.substr(0, room));
      return !job.too_large;
    }
    auto unfinished = job.sink->data(bytes);
    if (!unfinished) {
      job.refused_by_sink = unfinished.error();
      return false;
    }
    if (!*unfinished) {
      job.patience = Clock::time_point::max();
    } else if (job.patience == Clock::time_point::max()) {
      job.patience = Clock::now() + settings_.stream_patience;
    }
    return true;
  }

  /// Handles the attempts that libcurl has finished.
  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto known = by_handle_.find(message->easy_handle);
      if (known == by_handle_.end()) continue;
      finish_attempt(known->second, message->data.result);
    }
    // A watch is answered by headers alone, and then nothing is owed until an event comes.
    for (const auto& [handle, at] : by_handle_) {
      Job& job = **at;
      if (job.sink && !job.answered && job.transfer->code() == 200) {
        job.answered = true;
        job.patience = Clock::time_point::max();
      }
    }
  }

  void finish_attempt(JobIterator at, CURLcode result) {
    Job& job = **at;
    const auto transfer = release(job);
    job.response.code = transfer->code();
    job.response.warning = transfer->warning();
    trace(job, result);
    if (job.sink && job.response.code == 200) {
      end_job(at, std::exchange(job.refused_by_sink, std::nullopt));
      return;
    }
    const bool refused = job.sink || job.response.code >= 300;
    if (job.too_large && refused) {
      result = CURLE_OK;  // the code and the beginning say why
    } else if (job.too_large) {
      end_job(at, Error(Code::kInvalidArgument, job.request.name + ": the answer is larger than " +
                                                    std::to_string(settings_.largest_body >> 20U) +
                                                    " MiB"));
      return;
    }
    std::optional<Error> failure;
    if (result != CURLE_OK) failure = transfer->failure(result, job.request, identity_);
    if (const auto wait = wait_before_next(job, *transfer, result)) {
      const auto due = Clock::now() + *wait;
      if (due < job.deadline) {
        job.due = due;
        job.last_failure = std::move(failure);
        if (!job.last_failure) {
          job.last_failure = Error(
              Code::kUnavailable, job.request.name + ": HTTP " + std::to_string(job.response.code));
        }
        return;
      }
    }
    end_job(at, std::move(failure));
  }

  /// nullopt: the outcome is final.
  std::optional<milliseconds> wait_before_next(Job& job, const Transfer& transfer,
                                               CURLcode result) {
    if (result == CURLE_OK) {
      const long code = job.response.code;
      if (code == 401)
        return token_changed(job, transfer) ? std::optional(milliseconds(0)) : std::nullopt;
      if (code != 429 && code < 500) return std::nullopt;
      if (const auto told = transfer.retry_after()) {
        if (job.attempts >= settings_.attempts_when_told) return std::nullopt;
        return *told + job.backoff.next();
      }
      if (code != 429 && !job.request.idempotent) return std::nullopt;
    } else if (!is_passing(result) || (transfer.was_sent() && !job.request.idempotent)) {
      return std::nullopt;
    }
    // A stream is begun again by whoever follows it.
    if (job.sink || job.attempts >= settings_.attempts) return std::nullopt;
    return job.backoff.next();
  }

  /// Whether a 401 may be about a token that has been replaced meanwhile.
  bool token_changed(Job& job, const Transfer& transfer) {
    if (!identity_.has_token() || std::exchange(job.token_was_refused, true)) return false;
    identity_.distrust_token();
    const auto token = identity_.token();
    return token && *token != transfer.token();
  }

  std::unique_ptr<Transfer> release(Job& job) {
    auto transfer = std::move(job.transfer);
    by_handle_.erase(transfer->handle());
    curl_multi_remove_handle(multi_.get(), transfer->handle());
    return transfer;
  }

  void end_job(JobIterator at, std::optional<Error> error) {
    const JobPointer job = *at;
    jobs_.erase(at);
    if (job->transfer) release(*job).reset();
    if (job->sink) {
      const bool refused = !error && job->response.code != 200;
      job->sink->closed(error ? Status(*error) : Status(), refused ? &job->response : nullptr);
    }
    const MutexLock lock(mutex_);
    job->error = std::move(error);
    job->done = true;
    changed_.notify_all();
  }

  void trace(const Job& job, CURLcode result) {
    if (!log_.enabled(telemetry::Level::kTrace)) return;
    const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - job.began);
    const std::string line = job.request.method + " " + job.request.target + ": " +
                             (result == CURLE_OK ? "HTTP " + std::to_string(job.response.code)
                                                 : std::string(curl_easy_strerror(result))) +
                             ", " + std::to_string(took.count()) + " ms, attempt " +
                             std::to_string(job.attempts);
    constexpr auto kWhere = std::source_location::current();
    log_.write(telemetry::Level::kTrace, line, {}, &kWhere);
  }

  struct MultiDeleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  const HttpSettings settings_;
  telemetry::Log& log_;
  Identity identity_;
  TokenBucket bucket_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;
  std::list<JobPointer> jobs_;  ///< in the order in which they came
  std::map<CURL*, JobIterator> by_handle_;
  std::thread thread_;

  Mutex mutex_;
  CondVar changed_;
  std::list<JobPointer> submitted_ DRASRIOV_GUARDED_BY(mutex_);
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
  /// For all but streams.
  Clock::time_point end_ DRASRIOV_GUARDED_BY(mutex_) = Clock::time_point::max();
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::start(const Connection& connection,
                                                      HttpSettings settings, telemetry::Log& log) {
  if (auto loaded = load_curl(); !loaded) return loaded.error();
  auto impl = std::make_unique<Impl>(connection, std::move(settings), log);
  if (auto started = impl->start(); !started) return started.error();
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(impl)));
}

Result<HttpResponse> HttpClient::perform(HttpRequest request, Deadline deadline) {
  return impl_->perform(std::move(request), deadline);
}

std::unique_ptr<HttpStream> HttpClient::stream(HttpRequest request, milliseconds longest,
                                               StreamSink& sink) {
  return impl_->stream(std::move(request), longest, sink);
}

void HttpClient::end_by(Deadline deadline) {
  impl_->end_by(deadline);
}

}  // namespace drasriov::cluster::kube
