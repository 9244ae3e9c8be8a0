#include "fuzz/program.h"

#include <torch/torch.h>

#include <algorithm>

#include "fuzz/network_ops.h"
#include "fuzz/pieces.h"
#include "support/oracles.h"

namespace natgrad::testing::fuzz {

Tensor Workshop::parameter(torch::IntArrayRef shape, uint64_t k) {
  if (requests_ == answers_.size()) {
    const auto same = [&](const Tensor& p) { return p.sizes() == shape; };
    const auto known = std::find_if(parameters_.begin(), parameters_.end(), same);
    if (known != parameters_.end() && k % 3 == 0) {
      answers_.push_back(static_cast<size_t>(known - parameters_.begin()));
    } else {
      answers_.push_back(parameters_.size());
      const auto values = 0.7 * constant(shape, 1000 + parameters_.size());
      parameters_.push_back(values.requires_grad_(k % 11 != 5));
    }
  }
  return parameters_[answers_[requests_++]];
}

Tensor Workshop::constant(torch::IntArrayRef shape, uint64_t k) const {
  return randn(shape, seed_ + 77777 * (k % 100000));
}

Tensor Workshop::positive(torch::IntArrayRef shape, uint64_t k) const {
  return constant(shape, k).sigmoid() + 0.5;
}

Tensor Workshop::classes(torch::IntArrayRef shape, int64_t classes, uint64_t k) const {
  return torch::randint(classes, shape, seeded(seed_ + k), torch::TensorOptions(torch::kLong));
}

void Workshop::copy_parameters() {
  for (auto& p : parameters_) p = p.detach().clone().requires_grad_(p.requires_grad());
}

Program::Program(Case the_case)
    : case_(std::move(the_case)), workshop_(case_.seed, case_.examples) {
  loss(Form::Plain);  // makes the parameters
  // One that takes no part, so that there is one at all.
  const auto values = workshop_.constant({1}, 3);
  workshop_.parameter(values.sizes(), 1);
}

Program Program::copy() const {
  Program other = *this;
  other.workshop_.copy_parameters();
  return other;
}

namespace {

constexpr double kLargest = 3;
constexpr int64_t kWidest = 5;

/// [N, w] of moderate size, whatever the op has made.
Tensor tamed(Tensor h, int64_t examples) {
  if (h.dim() != 2 || h.size(0) != examples) h = h.reshape({examples, -1});
  if (h.size(1) > kWidest) h = h.narrow(1, 0, kWidest);
  const auto largest = h.detach().abs().max().item<double>();
  return largest > kLargest ? h * (kLargest / largest) : h;
}

}  // namespace

std::vector<Tensor> Program::values() {
  std::vector<Tensor> values = {workshop_.constant({case_.examples, case_.width}, 1)};
  for (const auto& step : case_.steps) {
    const auto& a = values[step.a % values.size()];
    const auto& b = values[step.b % values.size()];
    values.push_back(tamed(network_ops()[step.op].build(workshop_, a, b, step.k), case_.examples));
  }
  return values;
}

Tensor Program::wrapped(const std::vector<Tensor>& parts) const {
  auto total = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) total = total + parts[i];
  switch (case_.wrapping) {
    case 1:
      return torch::stack(parts).sum();
    case 2:
      return -(-total);
    case 3:
      return total / 2 * 2 + 1;
    case 4:
      return torch::stack(parts).mean() * static_cast<double>(parts.size());
    default:
      return total;
  }
}

Tensor Program::loss(Form form) {
  torch::manual_seed(case_.seed);
  workshop_.begin();
  workshop_.form = form;
  terms_.clear();
  penalties_ = Tensor();
  auto h = values();
  std::vector<Tensor> parts;
  for (const auto& piece : case_.pieces) {
    auto made = piece_kinds()[piece.kind].build(workshop_, h[piece.on % h.size()], piece.k);
    const auto factor = piece.factor;
    const auto loss = made.term.loss;
    made.term.factor = factor;
    made.term.loss = [=](const std::vector<Tensor>& z) { return factor * loss(z); };
    if (made.term.weights.defined()) made.term.weights = factor * made.term.weights;
    for (auto& f : made.term.fisher) f = factor * f;
    parts.push_back(factor * made.loss);
    terms_.push_back(std::move(made.term));
    h.push_back(tamed(terms_.back().z.front(), case_.examples));  // for nested terms
  }
  for (const auto& penalty : case_.penalties) {
    const auto& all = parameters();
    if (all.empty()) continue;
    const auto R = penalty.factor *
                   penalty_kinds()[penalty.kind].build(workshop_, all[penalty.on % all.size()]);
    parts.push_back(R);
    penalties_ = penalties_.defined() ? penalties_ + R : R;
  }
  return wrapped(parts);
}

}  // namespace natgrad::testing::fuzz
