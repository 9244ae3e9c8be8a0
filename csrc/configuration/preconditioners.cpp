#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/preconditioners/kronecker_factored.h>
#include <natgrad/preconditioners/low_rank.h>
#include <natgrad/preconditioners/propagated_diagonal.h>

#include "configuration/parts.h"

namespace natgrad::detail {

namespace {

void read_kronecker_factored(Settings& s, KroneckerFactored& part) {
  s.read("decay", part.decay());
  s.read("factor_interval", part.factor_interval());
  s.read("inverse_interval", part.inverse_interval());
  if (const auto* json = s.find("factors")) {
    Settings factors("the factors of " + s.where(), *json);
    factors.read("samples", part.factors().samples());
    factors.read("share", part.factors().share());
    factors.read("largest", part.factors().largest());
    read_weights(factors, part.factors());
    factors.finish();
  }
}

}  // namespace

const Makers<PartPtr<Preconditioner>>& preconditioner_makers() {
  static const Makers<PartPtr<Preconditioner>> makers = {
      {"FisherDiagonal",
       maker<FisherDiagonal, Preconditioner>([](Settings& s, FisherDiagonal& part) {
         s.read("exponent", part.exponent());
         read_weights(s, part);
       })},
      {"KroneckerFactored", maker<KroneckerFactored, Preconditioner>(read_kronecker_factored)},
      {"LowRank", maker<LowRank, Preconditioner>([](Settings& s, LowRank& part) {
         s.read("rank", part.rank());
         s.read("decay", part.decay());
         read_moment(s, part);
         read_weights(s, part);
       })},
      {"PropagatedDiagonal",
       maker<PropagatedDiagonal, Preconditioner>([](Settings& s, PropagatedDiagonal& part) {
         s.read("exponent", part.exponent());
         s.read("probes", part.probes());
         read_weights(s, part);
       })}};
  return makers;
}

}  // namespace natgrad::detail
