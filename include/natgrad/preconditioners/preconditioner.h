#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

#include <memory>
#include <string>
#include <vector>

namespace natgrad {

class LossGraph;

/// An approximate inverse M ≈ (C + λI)⁻¹ of the damped curvature, positive definite: it
/// preconditions conjugate gradients, and one that is close enough can stand in for the solve.
///
/// A preconditioner is a value. What it learns from step to step changes in `observe` alone, so a
/// step works on a `clone()` and keeps it if the step is accepted. Copies share tensors, none of
/// which is ever written to.
class NATGRAD_EXPORT Preconditioner {
 public:
  virtual ~Preconditioner() = default;

  /// Takes this step's batch into the running averages, and renews what is due at this λ; called
  /// once a step, before `at`. Nothing happens where nothing is kept.
  virtual void observe(const LossGraph& /*graph*/, double /*lambda*/) {}
  /// M for this loss at this θ, normalised as the loss is, in the parameters' dtype. λ > 0 is all
  /// that is added to the diagonal of C: with weight decay η, λ + η. Throws `c10::Error` for any
  /// other λ.
  virtual LinearOperator at(const LossGraph& graph, double lambda) const = 0;

  /// Whether M is meant as the inverse itself, not as a power of it: then it can stand in for the
  /// solve.
  virtual bool approximates_inverse() const { return true; }

  /// What `observe` has kept, to continue from later.
  virtual std::vector<torch::Tensor> state() const { return {}; }
  /// Takes up a state that `state` gave. Throws `c10::Error` if it is another preconditioner's.
  virtual void set_state(const std::vector<torch::Tensor>& state);

  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  /// A copy, state included.
  virtual std::unique_ptr<Preconditioner> clone() const = 0;
};

/// Throws `c10::Error`, naming the preconditioner, unless λ > 0 and finite.
NATGRAD_EXPORT void check_lambda(const Preconditioner& preconditioner, double lambda);

}  // namespace natgrad
