#include <natgrad/solvers/approximate_inverse.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <natgrad/solvers/direct.h>
#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/solvers/qr.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>

#include "configuration/parts.h"

namespace natgrad::detail {

namespace {

void read_conjugate_gradient(Settings& s, ConjugateGradient& part) {
  s.read("max_iterations", part.max_iterations());
  s.read("tolerance", part.tolerance());
  s.read("relative_progress", part.relative_progress());
  s.read("check_interval", part.check_interval());
  s.read("snapshot_growth", part.snapshot_growth());
}

void read_dual(Settings& s, Dual& part) {
  s.read("limit", part.limit());
  s.read("tolerance", part.tolerance());
  s.read("refinements", part.refinements());
}

void read_dual_or_conjugate_gradient(Settings& s, DualOrConjugateGradient& part) {
  s.read("limit", part.limit());
  if (const auto* json = s.find("iterative")) {
    Settings iterative("the iterative solver of " + s.where(), *json);
    auto solver = part.iterative();
    read_conjugate_gradient(iterative, solver);
    iterative.finish();
    part.iterative(solver);
  }
}

void read_krylov_subspace(Settings& s, KrylovSubspace& part) {
  s.read("dimension", part.dimension());
  s.read("floor", part.floor());
  s.read("tolerance", part.tolerance());
}

void read_steihaug(Settings& s, SteihaugConjugateGradient& part) {
  s.read("radius", part.radius());
  s.read("max_iterations", part.max_iterations());
  s.read("tolerance", part.tolerance());
}

}  // namespace

const Makers<PartPtr<Solver>>& solver_makers() {
  static const Makers<PartPtr<Solver>> makers = {
      {"ApproximateInverse",
       maker<ApproximateInverse, Solver>(
           [](Settings& s, ApproximateInverse& part) { s.read("check", part.check()); })},
      {"Cholesky",
       maker<Cholesky, Solver>([](Settings& s, Cholesky& part) { s.read("limit", part.limit()); })},
      {"ConjugateGradient", maker<ConjugateGradient, Solver>(read_conjugate_gradient)},
      {"Direct",
       maker<Direct, Solver>([](Settings& s, Direct& part) { s.read("limit", part.limit()); })},
      {"Dual", maker<Dual, Solver>(read_dual)},
      {"DualOrConjugateGradient",
       maker<DualOrConjugateGradient, Solver>(read_dual_or_conjugate_gradient)},
      {"KrylovSubspace", maker<KrylovSubspace, Solver>(read_krylov_subspace)},
      {"QR", maker<QR, Solver>([](Settings& s, QR& part) { s.read("limit", part.limit()); })},
      {"SteihaugConjugateGradient", maker<SteihaugConjugateGradient, Solver>(read_steihaug)}};
  return makers;
}

}  // namespace natgrad::detail
