#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

#include <memory>
#include <string>

namespace natgrad {

/// A choice of D in (C + λD) δ = -∇h: a matrix on parameter space at each θ, positive definite,
/// which models nothing, and so has no noise.
class NATGRAD_EXPORT DampingMatrix {
 public:
  virtual ~DampingMatrix() = default;
  /// D for this loss at this θ.
  virtual LinearOperator at(const LossGraph& graph) const = 0;
  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  /// A copy, as the optimizer keeps it.
  virtual std::shared_ptr<const DampingMatrix> clone() const = 0;
};

/// The matrix of a curvature, its noise left out.
class NATGRAD_EXPORT CurvatureMatrix final : public DampingMatrix {
 public:
  /// D is this curvature's matrix.
  explicit CurvatureMatrix(const Curvature& of) : of_(of.clone()) {}

  LinearOperator at(const LossGraph& graph) const override { return of_->at(graph).matrix; }
  std::string describe() const override { return of_->describe(); }
  std::shared_ptr<const DampingMatrix> clone() const override;

 private:
  std::shared_ptr<const Curvature> of_;
};

}  // namespace natgrad
