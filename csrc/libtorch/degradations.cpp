#include "libtorch/degradations.h"

#include <utility>

namespace natgrad::detail {

namespace {

thread_local Degradations* listener = nullptr;

}  // namespace

std::vector<std::string> Degradations::list() const {
  std::vector<std::string> list;
  for (const auto& [kind, sentence] : sentences) list.push_back(sentence);
  return list;
}

Listening::Listening(Degradations& heard) : outer_(std::exchange(listener, &heard)) {}

Listening::~Listening() { listener = outer_; }

void report_layer_coverage(double share) {
  if (listener) listener->layer_coverage = share;
}

void report_degradation(Degradation kind, std::string sentence) {
  if (!listener) return;
  if (sentence.empty()) {
    listener->sentences.erase(kind);
  } else {
    listener->sentences[kind] = std::move(sentence);
  }
}

}  // namespace natgrad::detail
