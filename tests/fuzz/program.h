#pragma once

// A case as a model: its parameters, its loss, and how the loss follows from the network's outputs.

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "fuzz/case.h"

namespace natgrad::testing::fuzz {

using torch::Tensor;

/// What a term's outputs mean, as far as the references need it.
enum class Family {
  Categorical,  ///< logits along dimension 1
  Bernoulli,    ///< these of one output each
  Gaussian,
  Poisson,
  GivenFisher,  ///< the same with s F_R from `fisher`
  LogStd,       ///< means and log-deviations, halves of dimension 1; s from `weights`
  Own,          ///< no distribution
  NamedLogits,  ///< no loss of a likelihood, but named logits along dimension 1
  Unknown       ///< the loss is no sum of terms: it has to be refused
};

/// A term of the loss as the case's maker knows it.
struct Term {
  std::vector<Tensor> z;  ///< outputs with the network's graph; curvature is within each alone
  /// The term of outputs given anew, in LibTorch's own ops.
  std::function<Tensor(const std::vector<Tensor>& z)> loss;
  Family family = Family::Own;
  /// By output: the weights s F_R of elements (GivenFisher), shaped like z.
  std::vector<Tensor> fisher = {};
  Tensor weights = {};  ///< s where it does not follow from the Hessian, shaped like z
  double variance = 1;  ///< of a Gaussian
  double factor = 1;    ///< within `loss`, `weights` and `fisher`
};

/// How the ops are built.
enum class Form {
  Given,  ///< as the library meets them: in place, by raw data, by ops of their own
  Plain   ///< by ops that can be differentiated twice
};

/// What ops and pieces are built with: numbers and parameters by request.
class Workshop {
 public:
  Workshop(uint64_t seed, int64_t examples) : seed_(seed), examples_(examples) {}

  /// A parameter of that shape: an earlier one, now and then, or a frozen one.
  Tensor parameter(torch::IntArrayRef shape, uint64_t k);
  /// Numbers that require no gradient.
  Tensor constant(torch::IntArrayRef shape, uint64_t k) const;
  /// Those of [0.5, 1.5).
  Tensor positive(torch::IntArrayRef shape, uint64_t k) const;
  /// Class indices of [0, classes).
  Tensor classes(torch::IntArrayRef shape, int64_t classes, uint64_t k) const;
  int64_t examples() const { return examples_; }
  Form form = Form::Given;

  /// Begins a forward pass: requests are answered from the start.
  void begin() { requests_ = 0; }
  const std::vector<Tensor>& parameters() const { return parameters_; }
  /// Replaces the parameters by copies of their own.
  void copy_parameters();

 private:
  uint64_t seed_;
  int64_t examples_;
  std::vector<Tensor> parameters_;
  std::vector<size_t> answers_;  // by request: which parameter
  size_t requests_ = 0;
};

/// The model of a case.
class Program {
 public:
  explicit Program(Case the_case);

  /// A forward pass.
  Tensor loss(Form form);
  /// Of the last forward pass.
  const std::vector<Term>& terms() const { return terms_; }
  /// The penalties' sum of the last forward pass; undefined without any.
  const Tensor& penalties() const { return penalties_; }
  const std::vector<Tensor>& parameters() const { return workshop_.parameters(); }
  /// The same model with parameters of its own.
  Program copy() const;

 private:
  std::vector<Tensor> values();
  Tensor wrapped(const std::vector<Tensor>& parts) const;

  Case case_;
  Workshop workshop_;
  std::vector<Term> terms_;
  Tensor penalties_;
};

}  // namespace natgrad::testing::fuzz
