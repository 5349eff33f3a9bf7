// SPDX-License-Identifier: Apache-2.0
import { logIn } from "../api.js";
import { h } from "../dom.js";

function field(label, props) {
  const input = h("input", { required: true, maxlength: "255", ...props });
  return [input, h("label", null, label, input)];
}

export function login(root, enter, message) {
  const [user, userLabel] = field("User", { autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
  const [password, passwordLabel] = field("Password", { type: "password", autocomplete: "current-password" });
  password.removeAttribute("maxlength");
  const [project, projectLabel] = field("Project", { autocapitalize: "none", spellcheck: "false" });
  const [domain, domainLabel] = field("Domain", { value: "Default", spellcheck: "false" });
  const told = h("p", { class: "problem", role: "alert", hidden: true });
  const button = h("button", { type: "submit" }, "Log in");
  const tell = (text) => { told.textContent = text; told.hidden = !text; };

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    tell("");
    try {
      await logIn({
        user: user.value, password: password.value, project: project.value, user_domain: domain.value,
        project_domain: domain.value,
      });
      password.value = "";
      await enter();
    } catch (error) {
      tell(error.retryAfter ? `${error.message} (${error.retryAfter} s)` : error.message);
      password.value = "";
      password.focus();
    } finally {
      button.disabled = false;
    }
  }

  root.replaceChildren(h("section", { class: "sheet login", "aria-labelledby": "login-title" },
    h("h1", { id: "login-title" }, "Image synchronisation"),
    h("p", { class: "soft" }, message || "Log in with your Keystone account."),
    h("form", { on: { submit } }, userLabel, passwordLabel, projectLabel, domainLabel, told, button)));
  user.focus();
}
