#include "optim/quadratic_models.h"

#include <torch/torch.h>

#include <algorithm>

#include "libtorch/plain_arithmetic.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

double dot_of(const Tensor& a, const Tensor& b) { return a.dot(b).item<double>(); }

}  // namespace

double ModelByProducts::slope(const Tensor& v) const { return dot_of(h_.gradient(), v); }

double ModelByProducts::curvature(const Tensor& v) const { return C_.inner({v}).item<double>(); }

void ModelByRows::learn(const Tensor& v, const Tensor& product) {
  if (v.defined()) products_.emplace_back(v, product);
}

const Tensor& ModelByRows::product(const Tensor& v) const {
  const auto known = std::find_if(products_.begin(), products_.end(),
                                  [&](const auto& pair) { return pair.first.is_same(v); });
  if (known != products_.end()) return known->second;
  return products_.emplace_back(v, rows_.root->multiply(v)).second;
}

double ModelByRows::slope(const Tensor& v) const {
  const PlainArithmetic plain;
  const double slope = -dot_of(rows_.targets, product(v));
  const auto& w = h_.weight_decay();
  return w.defined() ? slope + h_.gradient_scale() * dot_of(w * h_.parameters().values(), v)
                     : slope;
}

double ModelByRows::curvature(const Tensor& v) const {
  const PlainArithmetic plain;
  const auto& Rv = product(v);
  const auto& w = h_.weight_decay();
  return w.defined() ? dot_of(Rv, Rv) + dot_of(w * v, v) : dot_of(Rv, Rv);
}

}  // namespace natgrad::detail
