#include "optim/last_step.h"
#include <torch/torch.h>

#include <algorithm>

namespace natgrad::detail {

using torch::Tensor;

LastStep::LastStep(const ParameterLayout& layout, const Tensor& before, const Tensor& delta,
                   const Tensor& memory)
    : whole_{delta, memory} {
  const auto pieces = [&layout](const Tensor& v) {
    return v.defined() ? layout.views(v) : std::vector<Tensor>(layout.tensors().size());
  };
  const auto old_values = pieces(before), deltas = pieces(delta), memories = pieces(memory);
  for (size_t i = 0; i < old_values.size(); ++i) {
    const auto& parameter = layout.tensors()[i];
    moved_.push_back({parameter, old_values[i], deltas[i], memories[i], parameter._version()});
  }
}

bool LastStep::Moved::is_current() const {
  return before.sizes() == parameter.sizes() && before.dtype() == parameter.dtype() &&
         before.device() == parameter.device();
}

const LastStep::Moved* LastStep::find(const Tensor& parameter) const {
  const auto found = std::find_if(moved_.begin(), moved_.end(), [&](const Moved& moved) {
    return moved.parameter.is_same(parameter);
  });
  return found != moved_.end() && found->is_current() ? &*found : nullptr;
}

Tensor LastStep::joined(const ParameterLayout& layout, Tensor Moved::*piece) const {
  std::vector<Tensor> pieces;
  bool any = false;
  for (const auto& parameter : layout.tensors()) {
    const auto* moved = find(parameter);
    pieces.push_back(moved ? moved->*piece : Tensor());
    any = any || pieces.back().defined();
  }
  return any ? layout.flatten(pieces) : Tensor();
}

bool LastStep::moved(const std::vector<Tensor>& parameters) const {
  return std::equal(moved_.begin(), moved_.end(), parameters.begin(), parameters.end(),
                    [](const Moved& moved, const Tensor& parameter) {
                      return moved.parameter.is_same(parameter) && moved.is_current();
                    });
}

Tensor LastStep::delta(const ParameterLayout& layout) const {
  return moved(layout.tensors()) ? whole_.delta : joined(layout, &Moved::delta);
}

Tensor LastStep::memory(const ParameterLayout& layout) const {
  return moved(layout.tensors()) ? whole_.memory : joined(layout, &Moved::memory);
}

Tensor LastStep::before(const ParameterLayout& layout) const {
  std::vector<Tensor> pieces;
  for (const auto& parameter : layout.tensors()) {
    const auto* moved = find(parameter);
    pieces.push_back(moved ? moved->before : parameter.detach());
  }
  return layout.flatten(pieces);
}

void LastStep::forget_delta() {
  for (auto& moved : moved_) moved.delta = moved.memory = Tensor();
  whole_ = {};
}

void LastStep::put_back() {
  for (auto& moved : moved_) moved.version = moved.parameter._version();
}

bool LastStep::can_be_taken_back() const {
  return !moved_.empty() && std::all_of(moved_.begin(), moved_.end(), [](const Moved& moved) {
    return moved.is_current() && moved.parameter._version() == moved.version;
  });
}

std::pair<std::vector<Tensor>, std::vector<Tensor>> LastStep::moved_from() const {
  std::pair<std::vector<Tensor>, std::vector<Tensor>> both;
  for (const auto& moved : moved_) {
    both.first.push_back(moved.parameter);
    both.second.push_back(moved.before);
  }
  return both;
}

std::vector<Tensor> LastStep::current_parameters() const {
  std::vector<Tensor> parameters;
  for (const auto& moved : moved_) {
    if (moved.is_current()) parameters.push_back(moved.parameter);
  }
  return parameters;
}

void LastStep::keep_for_good() {
  constexpr int64_t kNone = -1;  // no tensor is of that version
  for (auto& moved : moved_) moved.version = kNone;
}

bool LastStep::is_below_rounding() const {
  return std::all_of(moved_.begin(), moved_.end(), [](const Moved& moved) {
    return at::equal(moved.parameter.detach(), moved.before);
  });
}

bool LastStep::take_back() {
  if (!can_be_taken_back()) return false;
  const torch::NoGradGuard no_grad;
  for (auto& moved : moved_) moved.parameter.copy_(moved.before);
  moved_.clear();
  whole_ = {};
  return true;
}

}  // namespace natgrad::detail
