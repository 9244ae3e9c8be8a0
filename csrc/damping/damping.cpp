#include <c10/util/Exception.h>
#include <natgrad/damping/damping.h>

namespace natgrad {

void Damping::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.empty(), "natgrad: ", describe(),
              " has no state, but was given that of another damping.");
}

}  // namespace natgrad
