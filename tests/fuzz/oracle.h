#pragma once

// The matrices of a case by elementary autograd: Jacobians row by row, Hessians by double backward
// on leaves. No code of the library.

#include <optional>

#include "fuzz/program.h"

namespace natgrad::testing::fuzz {

/// The parameters that require a gradient, and where they lie among all.
struct Trainable {
  explicit Trainable(const std::vector<Tensor>& parameters);
  /// Whether y has a graph that leads to one of them.
  bool reaches(const Tensor& y) const;
  /// ∂y/∂θ, [n, P], zero for frozen ones.
  Tensor rows(const Tensor& y) const;

  std::vector<Tensor> tensors;
  Tensor columns;
  int64_t size = 0;  ///< P
};

/// Matrices of all parameters, [P, P]; what is not known, or has to be refused, is undefined.
struct Oracle {
  Tensor gradient;              ///< ∇h, [P]
  Tensor gauss_newton, fisher;  ///< P² numbers each
  Tensor empirical_fisher, score_rows;
  std::function<Tensor(const Tensor& v)> hessian;  ///< products with it
  double scale = 0;              ///< ‖ |J|ᵀ|H||J| ‖: what rounding is relative to
  bool must_be_refused = false;  ///< the loss is no sum of terms
  bool has_terms = false;        ///< that parameters reach; else a penalty may be taken for one
  bool is_finite = true;         ///< else nothing is to be compared
};

/// Of a program's last forward pass in plain ops.
Oracle oracle_of(const Program& program, const Tensor& loss);

}  // namespace natgrad::testing::fuzz
