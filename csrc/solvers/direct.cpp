#include <fmt/format.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/direct.h>
#include <natgrad/solvers/dual.h>

namespace natgrad {

Solution Direct::solve(const LinearSystem& system) const {
  TORCH_CHECK(limit_ >= 1, "natgrad: Direct needs limit >= 1, but got ", limit_, ".");
  const auto& A = system.matrix;
  const bool dual = has_dual(A) && A.root_form()->root->rows < A.size();
  return dual ? Dual().limit(limit_).solve(system) : Cholesky().limit(limit_).solve(system);
}

Solution Direct::solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const {
  return solve({matrix, right_hand_side});
}

std::string Direct::describe() const { return fmt::format("Direct(limit={})", limit_); }

std::shared_ptr<const Solver> Direct::clone() const {
  TORCH_CHECK(limit_ >= 1, "natgrad: Direct needs limit >= 1, but got ", limit_, ".");
  return std::make_shared<Direct>(*this);
}

}  // namespace natgrad
